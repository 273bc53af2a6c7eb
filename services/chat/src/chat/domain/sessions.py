"""The session: which moves it may make, and what each move does to its slot and its deadlines."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from chat.domain.moves import SessionState, check_session_move
from chat.domain.values import Limits, Role, Sensitivity, Tier


@dataclass(frozen=True, slots=True)
class Session:
    """One bounded, paid conversation. It holds a slot of its mitra exactly while `slot` is set."""

    id: UUID
    request_id: UUID
    customer_id: UUID
    mitra_id: UUID
    state: SessionState
    slot: int | None
    tier: Tier
    topic: str
    sensitivity: Sensitivity
    created_at: datetime
    version: int
    open_extension_id: UUID | None = None
    pay_by: datetime | None = None
    activated_at: datetime | None = None
    first_reply_at: datetime | None = None
    ends_at: datetime | None = None
    warn_at: datetime | None = None
    show_up_by: datetime | None = None
    lost_by: datetime | None = None
    expired_until: datetime | None = None
    closing_until: datetime | None = None
    completed_at: datetime | None = None
    ended_reason: str | None = None

    def role_of(self, user_id: UUID) -> Role | None:
        """Return which party a user is; None for everyone else."""
        if user_id == self.customer_id:
            return "customer"
        return "mitra" if user_id == self.mitra_id else None


def may_read(session: Session, user_id: UUID) -> bool:
    """Say whether the session is this user's; a rerouted-away mitra has lost it."""
    role = session.role_of(user_id)
    return role == "customer" or (role == "mitra" and session.state != "rerouted")


def has_passed(deadline: datetime | None, now: datetime) -> bool:
    """Say whether a deadline exists and is over; a deadline ends the moment it names."""
    return deadline is not None and deadline <= now


def next_warning(ends_at: datetime, now: datetime, warnings: Iterable[int]) -> datetime | None:
    """Return when to warn next before `ends_at`; None when no warning is left."""
    times = (ends_at - timedelta(seconds=seconds) for seconds in warnings)
    return min((time for time in times if time > now), default=None)


def activate(session: Session, now: datetime, limits: Limits) -> Session:
    """Start the paid time: the money has arrived."""
    check_session_move(session.state, "active")
    ends_at = now + session.tier.duration
    return replace(
        session,
        state="active",
        activated_at=now,
        ends_at=ends_at,
        warn_at=next_warning(ends_at, now, limits.warnings),
        show_up_by=now + limits.show_up,
    )


def cancel(session: Session, now: datetime, reason: str) -> Session:
    """Give up before the payment; the slot is free again."""
    check_session_move(session.state, "cancelled")
    return replace(session, state="cancelled", slot=None, completed_at=now, ended_reason=reason)


def expire(session: Session, limits: Limits) -> Session:
    """End the paid time; an open extension keeps the slot."""
    check_session_move(session.state, "expired")
    assert session.ends_at is not None
    return replace(
        session,
        state="expired",
        slot=session.slot if session.open_extension_id else None,
        # From the deadline, not from now: a late sweep gives nobody a longer window.
        expired_until=session.ends_at + limits.expired_window,
        warn_at=None,
        show_up_by=None,
        lost_by=None,
    )


def open_extension(session: Session, extension_id: UUID, slot: int) -> Session:
    """Note the open extension; it holds `slot`, also past the end of the paid time."""
    return replace(session, open_extension_id=extension_id, slot=slot)


def drop_extension(session: Session) -> Session:
    """Forget a settled extension; an expired session gives its slot back."""
    slot = None if session.state == "expired" else session.slot
    return replace(session, open_extension_id=None, slot=slot)


def prolong(session: Session, duration: timedelta, now: datetime, limits: Limits) -> Session:
    """Add paid time: to the end while active, from now on once expired."""
    if session.state != "active":
        check_session_move(session.state, "active")
    assert session.ends_at is not None
    ends_at = (session.ends_at if session.state == "active" else now) + duration
    return replace(
        session,
        state="active",
        open_extension_id=None,
        ends_at=ends_at,
        warn_at=next_warning(ends_at, now, limits.warnings),
        expired_until=None,
    )


def close(session: Session, now: datetime, reason: str, limits: Limits) -> Session:
    """Begin the goodbye phase; the slot is free again."""
    check_session_move(session.state, "closing")
    return replace(
        session,
        state="closing",
        slot=None,
        open_extension_id=None,
        closing_until=now + limits.closing_grace,
        ended_reason=reason,
        warn_at=None,
        show_up_by=None,
        lost_by=None,
    )


def complete(session: Session, now: datetime) -> Session:
    """End for ever; the reason is why it began to close."""
    check_session_move(session.state, "completed")
    return replace(session, state="completed", completed_at=now)


def is_absent(session: Session, now: datetime) -> bool:
    """Say whether the mitra never showed up, or was lost, before her first reply."""
    return (
        session.state == "active"
        and session.first_reply_at is None
        and (has_passed(session.show_up_by, now) or has_passed(session.lost_by, now))
    )


def reroute(session: Session, now: datetime, reason: str) -> Session:
    """Take the session from a mitra who has not replied; another gets a new one."""
    check_session_move(session.state, "rerouted")
    return replace(
        session,
        state="rerouted",
        slot=None,
        open_extension_id=None,
        completed_at=now,
        ended_reason=reason,
        warn_at=None,
        show_up_by=None,
        lost_by=None,
    )


def warn(session: Session, now: datetime, limits: Limits) -> tuple[Session, int]:
    """Return the session with its next warning, and the seconds left that this one tells."""
    assert session.ends_at is not None
    left = max(0, round((session.ends_at - now).total_seconds()))
    return replace(session, warn_at=next_warning(session.ends_at, now, limits.warnings)), left


def unused(session: Session, now: datetime) -> timedelta:
    """Return the paid time that is left."""
    if session.state != "active" or session.ends_at is None:
        return timedelta(0)
    return max(timedelta(0), session.ends_at - now)
