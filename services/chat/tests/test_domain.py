"""The decisions, without a clock and without I/O."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from services.chat.tests.world import settings_for

from chat import errors
from chat.domain import extensions, payments, sessions, settling, steps
from chat.domain.extensions import Extension
from chat.domain.moves import PAYMENT_MOVES, SESSION_MOVES
from chat.domain.payments import PaidPart, Payment, Verdict
from chat.domain.sessions import Session
from chat.domain.values import Limits, Tier
from common.ids import new_id

NOW = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
LIMITS = Limits(
    payment_hold=timedelta(minutes=2),
    show_up=timedelta(seconds=60),
    silence=timedelta(seconds=50),
    lost=timedelta(seconds=30),
    warnings=(300, 60, 10),
    extension_answer=timedelta(seconds=60),
    expired_window=timedelta(minutes=5),
    closing_grace=timedelta(minutes=5),
)
TIER = Tier("chat-15", 1, 900, 15000)


def later(**duration: float) -> datetime:
    """Return a moment after NOW."""
    return NOW + timedelta(**duration)


def pending() -> Session:
    """A session that waits for its payment."""
    return Session(
        id=new_id(),
        request_id=new_id(),
        customer_id=new_id(),
        mitra_id=new_id(),
        state="pending_payment",
        slot=1,
        tier=TIER,
        topic="sleepless",
        sensitivity="normal",
        created_at=NOW,
        version=1,
        pay_by=later(minutes=2),
    )


def active(*, replied: bool = True) -> Session:
    """A session whose time runs since NOW."""
    session = sessions.activate(pending(), NOW, LIMITS)
    return replace(session, first_reply_at=NOW, show_up_by=None) if replied else session


def asked(session: Session) -> Extension:
    """An extension that waits for its answer."""
    return Extension(
        id=new_id(),
        session_id=session.id,
        tier=TIER,
        sensitivity="normal",
        state="requested",
        requested_at=NOW,
        answer_by=later(seconds=60),
    )


def payment(**changes: object) -> Payment:
    """A payment that nobody has made yet."""
    made = Payment(
        id=new_id(),
        request_id=new_id(),
        session_id=new_id(),
        extension_id=None,
        customer_id=new_id(),
        order_id="tmn-1",
        amount_idr=15000,
        state="pending",
        created_at=NOW,
        expires_at=later(minutes=2),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.req("CH-01")
def test_activation_sets_every_deadline() -> None:
    """The paid time starts with the money: end, first warning, and until when she must show up."""
    session = active(replied=False)
    assert session.ends_at == later(minutes=15)
    assert session.warn_at == later(minutes=10)
    assert session.show_up_by == later(seconds=60)


@pytest.mark.req("CH-05")
@pytest.mark.parametrize(
    ("seconds_left", "expected"), [(900, 300), (301, 300), (300, 60), (60, 10), (11, 10), (10, 0)]
)
def test_next_warning(seconds_left: int, expected: int) -> None:
    """The next warning is the longest that is still ahead."""
    ends_at = later(seconds=seconds_left)
    found = sessions.next_warning(ends_at, NOW, LIMITS.warnings)
    assert found == (ends_at - timedelta(seconds=expected) if expected else None)


@pytest.mark.req("CH-01")
def test_illegal_moves_are_refused() -> None:
    """What the table does not have cannot be done, and the error names both states."""
    over = sessions.complete(sessions.close(active(), NOW, "x", LIMITS), NOW)
    with pytest.raises(errors.IllegalMove) as refused:
        sessions.close(over, NOW, "again", LIMITS)
    assert refused.value.fields() == {"state": "completed"}
    for act in (
        lambda: sessions.activate(active(), NOW, LIMITS),
        lambda: sessions.cancel(active(), NOW, "x"),
        lambda: sessions.expire(pending(), LIMITS),
        lambda: sessions.reroute(pending(), NOW, "x"),
        lambda: sessions.prolong(over, TIER.duration, NOW, LIMITS),
    ):
        with pytest.raises(errors.IllegalMove):
            act()


@pytest.mark.req("CH-05")
def test_a_deadline_ends_the_moment_it_names() -> None:
    """A deadline is over exactly at its moment, not after it."""
    assert not sessions.has_passed(NOW, NOW - timedelta(microseconds=1))
    assert sessions.has_passed(NOW, NOW)
    assert not sessions.has_passed(None, NOW)


@pytest.mark.req("CH-06")
def test_prolonging() -> None:
    """Added to the end while it runs, from now on once it is over."""
    session = active()
    assert sessions.prolong(session, TIER.duration, later(minutes=5), LIMITS).ends_at == later(
        minutes=30
    )
    expired = sessions.expire(sessions.open_extension(session, new_id(), 1), LIMITS)
    assert expired.slot == 1
    resumed = sessions.prolong(expired, TIER.duration, later(minutes=17), LIMITS)
    assert (resumed.state, resumed.ends_at) == ("active", later(minutes=32))
    assert resumed.expired_until is None


@pytest.mark.req("PA-05")
def test_absence() -> None:
    """Absent is who did not show up, or was silent too long, before the first reply."""
    fresh = active(replied=False)
    assert not sessions.is_absent(fresh, later(seconds=59))
    assert sessions.is_absent(fresh, later(seconds=60))
    silent = replace(fresh, show_up_by=None, lost_by=later(seconds=20))
    assert sessions.is_absent(silent, later(seconds=20))
    assert not sessions.is_absent(replace(silent, first_reply_at=NOW), later(seconds=20))


@pytest.mark.req("CH-11")
def test_as_of_follows_every_deadline() -> None:
    """Long after all deadlines a session shows as what they have made of it."""
    shown, _ = steps.as_of(active(), None, later(minutes=16), LIMITS)
    assert (shown.state, shown.expired_until) == ("expired", later(minutes=20))
    shown, _ = steps.as_of(active(), None, later(minutes=20), LIMITS)
    assert shown.state == "closing"
    shown, _ = steps.as_of(pending(), None, later(minutes=2), LIMITS)
    assert (shown.state, shown.ended_reason) == ("cancelled", "unpaid")


@pytest.mark.req("CH-11")
def test_what_is_shown_has_the_version_it_will_be_written_with() -> None:
    """Each step that a reader is shown early counts, so nothing newer has an equal version."""
    session = active()
    expired, _ = steps.as_of(session, None, later(minutes=16), LIMITS)
    closing, _ = steps.as_of(session, None, later(minutes=20), LIMITS)

    assert (expired.version, closing.version) == (session.version + 1, session.version + 2)


@pytest.mark.req("CH-06")
def test_as_of_with_an_extension() -> None:
    """An open extension keeps the window open; once it is overdue, time goes on."""
    session = active()
    extension = replace(asked(session), answer_by=later(minutes=25))
    held = sessions.open_extension(session, extension.id, 1)
    shown, open_one = steps.as_of(held, extension, later(minutes=24), LIMITS)
    assert (shown.state, shown.slot, open_one) == ("expired", 1, extension)
    shown, open_one = steps.as_of(held, extension, later(minutes=25), LIMITS)
    assert (shown.state, shown.slot, open_one) == ("closing", None, None)


@pytest.mark.req("PA-05")
def test_an_absent_mitra_is_left_to_the_reroute() -> None:
    """A session whose mitra never came does not simply run out: it has to be rerouted."""
    fresh = active(replied=False)
    assert steps.overdue_step(fresh, None, later(minutes=16), LIMITS) is None


@given(
    minutes=st.lists(st.floats(0, 60), min_size=1, max_size=12),
    extended=st.booleans(),
)
def test_catching_up_in_one_go_or_in_many(minutes: list[float], extended: bool) -> None:  # noqa: FBT001 - drawn
    """However often somebody looks, the state at a moment is a legal path and the slot fits it."""
    session = active()
    extension = asked(session) if extended else None
    if extension is not None:
        session = sessions.open_extension(session, extension.id, 1)
    path = [session.state]
    for moment in sorted(later(minutes=m) for m in minutes):
        while (step := steps.overdue_step(session, extension, moment, LIMITS)) is not None:
            session = step.session
            extension = None if step.settled else extension
            if session.state != path[-1]:
                path.append(session.state)
        held = session.state in ("pending_payment", "active") or (
            session.state == "expired" and extension is not None
        )
        assert (session.slot is not None) == held
    assert all(after in SESSION_MOVES[before] for before, after in pairwise(path))


@pytest.mark.req("CH-06")
def test_extension_reasons() -> None:
    """A time-out says what did not come."""
    extension = asked(active())
    assert not extensions.is_overdue(extension, later(seconds=59))
    assert extensions.is_overdue(extension, later(seconds=60))
    assert extensions.time_out(extension, NOW).resolved_reason == "unanswered"
    accepted = extensions.accept(extension, NOW, LIMITS)
    assert extensions.time_out(accepted, NOW).resolved_reason == "unpaid"
    applied = extensions.apply(extensions.pay(accepted), NOW)
    assert not applied.is_open
    with pytest.raises(errors.IllegalMove):
        extensions.decline(applied, NOW, "declined")


@pytest.mark.req("CH-03")
@pytest.mark.parametrize(
    ("verdict", "state", "session_state", "effect"),
    [
        ("paid", "pending", "pending_payment", "activate"),
        ("paid", "failed", "pending_payment", "activate"),
        ("paid", "expired", "pending_payment", "owe"),
        ("paid", "pending", "cancelled", "owe"),
        ("paid", "expired", "cancelled", "owe"),
        ("paid", "paid", "active", "nothing"),
        ("paid", "refunded", "cancelled", "nothing"),
        ("pending", "pending", "pending_payment", "nothing"),
        ("failed", "pending", "pending_payment", "fail"),
        ("failed", "paid", "active", "nothing"),
        ("expired", "pending", "pending_payment", "expire"),
        ("expired", "paid", "active", "nothing"),
        ("refunded", "refund_due", "cancelled", "give_back"),
        ("refunded", "paid", "active", "give_back"),
        ("refunded", "pending", "pending_payment", "nothing"),
    ],
)
def test_effects(verdict: Verdict, state: str, session_state: str, effect: str) -> None:
    """Every word has one effect in every state; nothing is resurrected."""
    session = replace(pending(), state=session_state)  # type: ignore[arg-type]  # a literal by name
    assert settling.effect_of(verdict, payment(state=state), session, None) == effect


@pytest.mark.req("CH-03")
@given(verdicts=st.lists(st.sampled_from(["pending", "paid", "failed", "expired", "refunded"])))
def test_words_in_any_order_are_legal(verdicts: list[Verdict]) -> None:
    """Whatever the provider says in whatever order, the payment moves legally and pays once."""
    known, session, captures = payment(), pending(), 0
    for verdict in verdicts:
        match settling.effect_of(verdict, known, session, None):
            case "activate":
                known = payments.settle(known, "paid", NOW)
                session, captures = sessions.activate(session, NOW, LIMITS), captures + 1
            case "owe":
                captures += 1
                if known.state in ("pending", "failed"):
                    known = payments.settle(known, "paid", NOW)
                known = payments.owe(known, known.amount_idr, "late", NOW)
            case "fail":
                known = payments.settle(known, "failed", NOW)
            case "expire":
                known = payments.settle(known, "expired", NOW)
            case "give_back":
                if known.state == "paid":
                    known = payments.owe(known, known.amount_idr, "x", NOW)
                known = payments.refunded(known, NOW)
    assert captures <= 1
    assert known.state in PAYMENT_MOVES


@pytest.mark.req("CH-03")
def test_unused_refunds() -> None:
    """Unused time goes back from the newest payment on, rounded up, never more than was paid."""
    old = PaidPart(payment(created_at=NOW), 900)
    new = PaidPart(payment(created_at=later(minutes=3), amount_idr=1000), 60)
    refunds = payments.unused_refunds([old, new], timedelta(seconds=61))
    assert refunds == [(new.payment, 1000), (old.payment, 17)]
    assert payments.unused_refunds([old, new], timedelta(0)) == []
    everything = payments.unused_refunds([old, new], timedelta(hours=9))
    assert sum(amount for _, amount in everything) == 16000


@pytest.mark.req("CH-03")
def test_checks_grow_rarer_and_end() -> None:
    """A silent payment is asked about soon, then ever more rarely, and not for ever."""
    waits = []
    for checks in range(12):
        again = payments.next_check(payment(checks=checks), NOW)
        assert again is not None
        waits.append(again - NOW)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=5), timedelta(minutes=5))
    assert payments.next_check(payment(), later(hours=25)) is None
    assert payments.next_check(payment(state="paid"), NOW) is None


@pytest.mark.req("CH-08")
def test_who_may_read() -> None:
    """Both parties; not a stranger; not a mitra who was rerouted away."""
    session = active(replied=False)
    gone = sessions.reroute(session, NOW, "no_show")
    assert sessions.may_read(session, session.mitra_id)
    assert not sessions.may_read(session, new_id())
    assert sessions.may_read(gone, session.customer_id)
    assert not sessions.may_read(gone, session.mitra_id)


@pytest.mark.req("AV-05")
def test_limits_must_fit() -> None:
    """A heartbeat that outlasts the fresh limit would make every mirror deaf: no start."""
    with pytest.raises(ValidationError, match="FRESH_LIMIT_SECONDS must be at least"):
        settings_for(heartbeat_seconds=60)
