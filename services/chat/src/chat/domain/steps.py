"""What a passed deadline makes of a session: the one place that says so, for sweeps and for reads.

Whoever acts on a session or shows one first lets it catch up, so that no answer depends on when
somebody swept.
"""

from dataclasses import dataclass, replace

from chat.domain import extensions, sessions
from chat.domain.extensions import Extension
from chat.domain.sessions import Session
from chat.domain.values import Limits, Moment

TIME_OVER = "time_over"
UNPAID = "unpaid"
EXTENSION_TIMED_OUT = "extension_timed_out"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the session after it, the extension that it settled, and the event's word."""

    session: Session
    settled: Extension | None
    say: str | None
    reason: str | None


def overdue_step(
    session: Session, extension: Extension | None, now: Moment, limits: Limits
) -> Step | None:
    """Return the next step that a passed deadline demands; None when nothing is overdue.

    An absent mitra is not dealt with here: that needs the request.
    """
    if extension is not None and extensions.is_overdue(extension, now):
        return _time_out(session, extension, now)
    if session.state == "pending_payment" and sessions.has_passed(session.pay_by, now):
        return Step(sessions.cancel(session, now, UNPAID), None, "session_cancelled", UNPAID)
    if session.state == "active" and sessions.has_passed(session.ends_at, now):
        if sessions.is_absent(session, now):
            return None
        return Step(sessions.expire(session, limits), None, "session_expired", TIME_OVER)
    if session.state == "expired" and extension is None:
        if not sessions.has_passed(session.expired_until, now):
            return None
        after = sessions.close(session, now, TIME_OVER, limits)
        return Step(after, None, "session_closing", TIME_OVER)
    if session.state == "closing" and sessions.has_passed(session.closing_until, now):
        after = sessions.complete(session, now)
        return Step(after, None, "session_completed", session.ended_reason)
    return None


def as_of(
    session: Session, extension: Extension | None, now: Moment, limits: Limits
) -> tuple[Session, Extension | None]:
    """Return the session as its deadlines have made it, whether anybody swept or not.

    Each step counts in the version, as writing it down will: a reader who keeps the newest version
    never goes back from what was shown to what was merely written.
    """
    while (step := overdue_step(session, extension, now, limits)) is not None:
        session = replace(step.session, version=session.version + 1)
        extension = None if step.settled is not None else extension
    return session, extension


def _time_out(session: Session, extension: Extension, now: Moment) -> Step:
    after = sessions.drop_extension(session)
    # An active session keeps its slot: its load is the same, so there is nothing to tell others.
    say = "session_expired" if session.state == "expired" else None
    return Step(after, extensions.time_out(extension, now), say, EXTENSION_TIMED_OUT)
