"""The straight line and its branches: payment, messages, extension, goodbye, on real Postgres."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services.chat.tests.world import World, all_of

from chat import errors
from chat.domain.messages import Draft
from common.ids import new_id


@pytest.mark.req("CH-01", "CH-03", "CH-04", "CH-07")
async def test_the_straight_line(world: World) -> None:
    """A session is paid, talked through, ended, and said goodbye to by both."""
    story = await world.pending()
    session = story.session
    assert session.state == "pending_payment"
    await world.pay(story)
    active = (await world.story(session.id)).session
    assert active.state == "active"
    assert active.activated_at is not None
    assert active.ends_at == active.activated_at + timedelta(minutes=15)

    assert await world.say(story, session.customer_id, "halo") == 1
    assert await world.say(story, session.mitra_id, "selamat malam") == 2
    view = await world.sessions.end(session.id, session.mitra_id)
    assert (view.state, view.ended_reason) == ("closing", "mitra_ended")
    assert await world.say(story, session.customer_id, "terima kasih") == 3
    assert await world.state(session.id) == "closing"
    assert await world.say(story, session.mitra_id, "sampai jumpa") == 4
    assert await world.state(session.id) == "completed"

    assert await world.events(session.id) == [
        "session_created",
        "session_activated",
        "session_closing",
        "session_completed",
    ]
    told = world.realtime.of(session.customer_id, "session")
    assert [view["state"] for view in told] == ["active", "closing", "completed"]
    assert [m["seq"] for m in world.realtime.of(session.mitra_id, "message")] == [1, 2, 3, 4]


@pytest.mark.req("CH-01", "AV-10")
async def test_slots_follow_states(world: World) -> None:
    """A slot is held while pending or active, and each change of it bumps the load's version."""
    mitra = await world.mitra()
    story = await world.pending(mitra)
    assert await world.load(mitra) == (1, 1)
    await world.pay(story)
    assert await world.load(mitra) == (1, 1)
    await world.sessions.end(story.session.id, story.session.customer_id)
    assert await world.load(mitra) == (0, 2)


@pytest.mark.req("CH-03")
async def test_unpaid_session_is_cancelled(world: World) -> None:
    """A payment that does not come in time costs the session, and the slot is free again."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.let_pass(story.session.id, "pay_by")
    assert await world.deadlines.settle_due() == 1
    session = (await world.story(story.session.id)).session
    assert (session.state, session.ended_reason, session.slot) == ("cancelled", "unpaid", None)
    assert (await world.payment(view.order_id)).state == "expired"


@pytest.mark.req("CH-03")
async def test_a_part_given_back_at_the_provider(world: World) -> None:
    """Somebody gives a part back in the provider's own pages: that part is booked, not the rest."""
    story = await world.active(replied=True)
    (payment,) = await world.store.session_payments(story.session.id)
    word = world.provider.word(payment.order_id, "refunded", status="partial_refund")
    word = replace(word, refunded_idr=4000)
    await world.payments.hear(word, source="notification")
    payment = await world.payment(payment.order_id)
    assert (payment.state, payment.refund_idr) == ("refunded", 4000)
    assert await world.ledger(payment) == 11_000


@pytest.mark.req("CH-03")
async def test_a_smaller_part_settles_no_debt(world: World) -> None:
    """What somebody gave back by hand does not stand for what we owe beside it."""
    story = await world.active(replied=True)
    await world.control.end(story.session.id, new_id(), None)
    (payment,) = await world.store.session_payments(story.session.id)
    word = world.provider.word(payment.order_id, "refunded", status="partial_refund")
    await world.payments.hear(replace(word, refunded_idr=100), source="notification")
    assert (await world.payment(payment.order_id)).state == "refund_due"
    assert await world.payments.give_back_due() == 1
    assert (await world.payment(payment.order_id)).state == "refunded"


@pytest.mark.req("CH-03")
@pytest.mark.parametrize("swept", [True, False])
async def test_paid_after_cancel_is_refunded(world: World, swept: bool) -> None:  # noqa: FBT001 - a case
    """Money that comes too late goes back, whether somebody swept or not."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.let_pass(story.session.id, "pay_by")
    if swept:
        await world.deadlines.settle_due()
    await world.word(view.order_id, "paid")
    payment = await world.payment(view.order_id)
    assert (payment.state, payment.refund_idr) == ("refund_due", 15000)
    assert await world.state(story.session.id) == "cancelled"

    assert await world.payments.give_back_due() == 1
    payment = await world.payment(view.order_id)
    assert payment.state == "refunded"
    assert world.provider.refunds == {payment.id.hex: 15000}
    assert await world.ledger(payment) == 0


@pytest.mark.req("CH-03")
async def test_denied_then_paid(world: World) -> None:
    """A denied try does not end the payment: the same order may still be paid."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.word(view.order_id, "failed", transaction="first")
    assert (await world.payment(view.order_id)).state == "failed"
    again = await world.payments.start(story.session.id, story.session.customer_id)
    assert again.redirect_url == view.redirect_url
    await world.word(view.order_id, "paid", transaction="second")
    assert await world.state(story.session.id) == "active"


@pytest.mark.req("CH-03")
async def test_denied_then_cancelled_then_paid(world: World) -> None:
    """A payment that failed before the cancellation and arrives after it goes back."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.word(view.order_id, "failed", transaction="first")
    await world.sessions.end(story.session.id, story.session.customer_id)
    await world.word(view.order_id, "paid", transaction="second")
    payment = await world.payment(view.order_id)
    assert payment.state == "refund_due"
    assert await world.ledger(payment) == 15000


@pytest.mark.req("CH-03")
async def test_lost_notification_heals(world: World) -> None:
    """A payment of which no notification came is found by asking the provider."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    assert await world.payments.check_pending() == 0
    world.provider.word(view.order_id, "paid")
    await world.admin.execute("UPDATE chat.payments SET check_at = clock_timestamp()")
    assert await world.payments.check_pending() == 1
    assert await world.state(story.session.id) == "active"
    assert (await world.payment(view.order_id)).check_at is None


@pytest.mark.req("CH-03")
async def test_provider_away(world: World) -> None:
    """While the provider is away nothing is lost: the same call later gives the checkout page."""
    story = await world.pending()
    world.provider.is_away = True
    with pytest.raises(errors.PaymentUnavailable):
        await world.payments.start(story.session.id, story.session.customer_id)
    world.provider.is_away = False
    view = await world.payments.start(story.session.id, story.session.customer_id)
    assert view.token
    again = await world.payments.start(story.session.id, story.session.customer_id)
    assert again == view
    assert world.provider.creations == 1


@pytest.mark.req("CH-03")
async def test_order_taken(world: World) -> None:
    """An order id that the provider knows although nobody has its page is given up for another."""
    story = await world.pending()
    world.provider.is_away = True
    with pytest.raises(errors.PaymentUnavailable):
        await world.payments.start(story.session.id, story.session.customer_id)
    world.provider.is_away = False
    (first,) = await world.store.session_payments(story.session.id)
    world.provider.taken.add(first.order_id)
    view = await world.payments.start(story.session.id, story.session.customer_id)
    assert view.order_id != first.order_id
    await world.word(view.order_id, "paid")
    assert await world.state(story.session.id) == "active"


@pytest.mark.req("CH-03")
async def test_wrong_amount_changes_nothing(world: World) -> None:
    """A word about another amount has no effect."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    world.provider.orders[view.order_id] = 1
    with pytest.raises(errors.AmountMismatch):
        await world.word(view.order_id, "paid")
    assert await world.state(story.session.id) == "pending_payment"
    with pytest.raises(errors.OrderUnknown):
        await world.word("tmn-unknown", "paid")


@pytest.mark.req("CH-05", "CH-11")
async def test_time_over(world: World) -> None:
    """After the deadline nothing is accepted; then come the window, the goodbye and the end."""
    story = await world.active(replied=True)
    session = story.session
    await world.let_pass(session.id, "ends_at")
    with pytest.raises(errors.SessionOver):
        await world.say(story, session.customer_id, "masih di sana?")
    shown = await world.sessions.show(session.id, session.customer_id)
    assert shown.state == "expired"
    assert await world.state(session.id) == "active"

    assert await world.deadlines.settle_due() == 1
    assert await world.state(session.id) == "expired"
    assert await world.load(session.mitra_id) == (0, 2)
    await world.let_pass(session.id, "expired_until")
    assert await world.deadlines.settle_due() == 1
    assert await world.state(session.id) == "closing"
    await world.let_pass(session.id, "closing_until")
    with pytest.raises(errors.SessionOver):
        await world.say(story, session.customer_id, "dadah")
    assert await world.deadlines.settle_due() == 1
    assert await world.state(session.id) == "completed"
    assert await world.deadlines.settle_due() == 0


@pytest.mark.req("CH-11")
async def test_long_overdue(world: World) -> None:
    """What was overdue through a long outage is in the state its deadlines name after one pass."""
    story = await world.active(replied=True)
    await world.admin.execute(
        "UPDATE chat.sessions SET ends_at = ends_at - interval '2 hours' WHERE id = $1",
        story.session.id,
    )
    assert await world.deadlines.settle_due() == 1
    assert await world.state(story.session.id) == "closing"


@pytest.mark.req("CH-05")
async def test_warnings(world: World) -> None:
    """Each warning is told once to both, with the seconds that are left."""
    story = await world.active(replied=True)
    session = story.session
    assert session.ends_at is not None
    assert session.warn_at == session.ends_at - timedelta(minutes=5)
    await world.admin.execute(
        "UPDATE chat.sessions SET ends_at = clock_timestamp() + interval '58 seconds',"
        " warn_at = clock_timestamp() WHERE id = $1",
        session.id,
    )
    assert await world.deadlines.settle_due() == 1
    assert await world.deadlines.settle_due() == 0
    for user in (session.customer_id, session.mitra_id):
        (warning,) = world.realtime.of(user, "warning")
        assert 30 < warning["seconds_left"] <= 58
    after = (await world.story(session.id)).session
    assert after.ends_at is not None
    assert after.warn_at == after.ends_at - timedelta(seconds=10)


@pytest.mark.req("CH-05")
async def test_one_goodbye_each(world: World) -> None:
    """In the goodbye phase each says one thing of at most 500 characters."""
    story = await world.closing()
    with pytest.raises(errors.GoodbyeTooLong):
        await world.say(story, story.session.customer_id, "x" * 501)
    await world.say(story, story.session.customer_id, "x" * 500)
    with pytest.raises(errors.GoodbyeSaid):
        await world.say(story, story.session.customer_id, "dan satu lagi")
    assert await world.state(story.session.id) == "closing"


@pytest.mark.req("CH-06")
async def test_extension_while_active(world: World) -> None:
    """Asked, accepted and paid before the end, an extension moves the deadline for both."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "chat-30")
    assert asked.state == "requested"
    assert (await world.extensions.ask(session.id, session.customer_id, "chat-30")) == asked
    with pytest.raises(errors.ExtensionOpen):
        await world.extensions.ask(session.id, session.customer_id, "chat-15")
    with pytest.raises(errors.ExtensionNotAccepted):
        await world.payments.start(session.id, session.customer_id, asked.extension_id)
    accepted = await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    assert accepted.state == "accepted"
    await world.pay(story, asked.extension_id)

    after = (await world.story(session.id)).session
    assert session.ends_at is not None
    assert after.ends_at == session.ends_at + timedelta(minutes=30)
    assert after.open_extension_id is None
    for user in (session.customer_id, session.mitra_id):
        (frame,) = world.realtime.of(user, "session_resumed")
        assert frame["session_id"] == str(session.id)
        assert world.realtime.of(user, "extension")[-1]["state"] == "applied"
    assert (await world.events(session.id))[-1] == "session_extended"
    with pytest.raises(errors.ExtensionResolved) as refused:
        await world.extensions.decline(session.id, asked.extension_id, session.mitra_id)
    assert refused.value.fields()["state"] == "applied"


@pytest.mark.req("CH-06")
async def test_extension_keeps_the_slot(world: World) -> None:
    """An extension asked in time keeps the slot past the end, and resumes the session when paid."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    await world.let_pass(session.id, "ends_at")
    await world.deadlines.settle_due()
    expired = (await world.story(session.id)).session
    assert (expired.state, expired.slot) == ("expired", session.slot)
    await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    await world.pay(story, asked.extension_id)
    resumed = (await world.story(session.id)).session
    assert (resumed.state, resumed.slot) == ("active", session.slot)
    assert resumed.ends_at is not None
    assert len(world.realtime.of(session.mitra_id, "session_resumed")) == 1
    assert await world.say(story, session.customer_id, "lanjut") == 2


@pytest.mark.req("CH-06")
async def test_extension_in_the_expired_window(world: World) -> None:
    """Asked after the end it takes a slot again, if the mitra has one."""
    story = await world.expired()
    session = story.session
    assert session.slot is None
    await world.admin.execute(
        "UPDATE chat.mitra_load SET capacity = 1 WHERE mitra_id = $1", session.mitra_id
    )
    rival = await world.pending(session.mitra_id)
    with pytest.raises(errors.MitraFull):
        await world.extensions.ask(session.id, session.customer_id, "test-1")
    await world.sessions.end(rival.session.id, rival.session.customer_id)
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    assert (await world.story(session.id)).session.slot == 1
    declined = await world.extensions.decline(session.id, asked.extension_id, session.mitra_id)
    assert declined.state == "declined"
    assert (await world.story(session.id)).session.slot is None


@pytest.mark.req("CH-06")
@pytest.mark.parametrize("deadline", ["answer_by", "pay_by"])
async def test_extension_times_out(world: World, deadline: str) -> None:
    """Unanswered or unpaid it times out; what is paid then goes back, and nothing else."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    order_id = None
    if deadline == "pay_by":
        await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
        view = await world.payments.start(session.id, session.customer_id, asked.extension_id)
        order_id = view.order_id
    await world.let_extension_pass(asked.extension_id, deadline)
    with pytest.raises(errors.ExtensionResolved):
        await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    assert await world.deadlines.settle_due() == 1
    assert world.realtime.of(session.mitra_id, "extension")[-1]["state"] == "timed_out"
    with pytest.raises(errors.ExtensionResolved):
        await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    if order_id is not None:
        await world.word(order_id, "paid")
        assert (await world.payment(order_id)).state == "refund_due"
    after = (await world.story(session.id)).session
    assert (after.state, after.ends_at) == ("active", session.ends_at)
    assert after.open_extension_id is None
    payments = await world.store.session_payments(session.id)
    assert [p.state for p in payments if p.extension_id is None] == ["paid"]


@pytest.mark.req("CH-06", "CH-07")
async def test_ending_settles_the_extension(world: World) -> None:
    """Whoever ends the session ends its open extension; a payment for it goes back."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    view = await world.payments.start(session.id, session.customer_id, asked.extension_id)
    await world.sessions.end(session.id, session.mitra_id)
    await world.word(view.order_id, "paid")
    assert (await world.payment(view.order_id)).state == "refund_due"
    assert await world.state(session.id) == "closing"


@pytest.mark.req("CH-07")
async def test_end_at_the_deadline_closes(world: World) -> None:
    """An end request after the deadline that nobody swept closes the session."""
    story = await world.active(replied=True)
    await world.let_pass(story.session.id, "ends_at")
    view = await world.sessions.end(story.session.id, story.session.customer_id)
    assert view.state == "closing"
    again = await world.sessions.end(story.session.id, story.session.mitra_id)
    assert (again.state, again.ended_reason) == ("closing", "customer_ended")


@pytest.mark.req("CH-08")
async def test_foreign_sessions_do_not_exist(world: World) -> None:
    """Whoever is no party finds no session, whatever they try."""
    story = await world.active(replied=True)
    session_id, stranger = story.session.id, new_id()
    tries = [
        world.sessions.show(session_id, stranger),
        world.sessions.transcript(session_id, stranger, after_seq=0, limit=10),
        world.sessions.end(session_id, stranger),
        world.sessions.move_horizon(session_id, stranger, delivered=1, read=1),
        world.sessions.typing(session_id, stranger),
        world.messages.send(Draft(session_id, stranger, new_id(), "x")),
        world.extensions.ask(session_id, stranger, "test-1"),
        world.extensions.ask(session_id, stranger, "test-1"),
        world.payments.start(session_id, stranger),
        world.payments.start(session_id, story.session.mitra_id),
        world.sessions.raise_sensitivity(
            session_id, changed_by=stranger, role="mitra", sensitivity="sensitive", reason=None
        ),
    ]
    outcomes = await all_of(*tries)
    assert all(isinstance(outcome, errors.SessionNotFound) for outcome in outcomes), outcomes


@pytest.mark.req("CH-06", "CH-08")
async def test_each_party_has_its_own_acts(world: World) -> None:
    """A mitra cannot ask for time, a customer cannot grant it."""
    story = await world.active(replied=True)
    session = story.session
    with pytest.raises(errors.SessionNotFound):
        await world.extensions.ask(session.id, session.mitra_id, "test-1")
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    with pytest.raises(errors.SessionNotFound):
        await world.extensions.accept(session.id, asked.extension_id, session.customer_id)


@pytest.mark.req("CH-09")
async def test_sensitivity_is_a_latch(world: World) -> None:
    """Raised once, with an audit row and a word to both; it never comes down."""
    story = await world.active(replied=True)
    session = story.session
    for _ in range(2):
        view = await world.sessions.raise_sensitivity(
            session.id,
            changed_by=session.mitra_id,
            role="mitra",
            sensitivity="sensitive",
            reason="menyebut diri sendiri",
        )
        assert view.sensitivity == "sensitive"
    with pytest.raises(errors.SensitivityLatched):
        await world.sessions.raise_sensitivity(
            session.id,
            changed_by=session.mitra_id,
            role="mitra",
            sensitivity="normal",
            reason=None,
        )
    (change,) = await world.store.sensitivity_log(session.id)
    assert (change.from_level, change.to_level) == ("normal", "sensitive")
    assert change.reason == "menyebut diri sendiri"
    for user in (session.customer_id, session.mitra_id):
        assert len(world.realtime.of(user, "session_topic_updated")) == 1
    assert (await world.events(session.id)).count("topic_updated") == 1
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    assert asked.sensitivity == "sensitive"


@pytest.mark.req("CH-04")
async def test_horizons_only_advance(world: World) -> None:
    """Delivered and read move forward, never past the last message, and the other is told."""
    story = await world.active(replied=True)
    session = story.session
    await world.say(story, session.mitra_id, "dua")
    await world.sessions.move_horizon(session.id, session.customer_id, delivered=1, read=0)
    await world.sessions.move_horizon(session.id, session.customer_id, delivered=99, read=99)
    await world.sessions.move_horizon(session.id, session.customer_id, delivered=1, read=1)
    shown = await world.sessions.show(session.id, session.mitra_id)
    assert (shown.customer_horizon.delivered_seq, shown.customer_horizon.read_seq) == (2, 2)
    assert shown.mitra_horizon.read_seq == 0
    assert [d["seq"] for d in world.realtime.of(session.mitra_id, "delivered")] == [1]
    assert [d["seq"] for d in world.realtime.of(session.mitra_id, "read")] == [2]


@pytest.mark.req("CH-04")
async def test_typing(world: World) -> None:
    """Only the other party hears of typing."""
    story = await world.active()
    await world.sessions.typing(story.session.id, story.session.customer_id)
    assert len(world.realtime.of(story.session.mitra_id, "typing")) == 1
    assert world.realtime.of(story.session.customer_id, "typing") == []


async def test_nothing_is_left_behind(world: World) -> None:
    """Every committed step of a session has told its event exactly once."""
    story = await world.closing()
    events = await world.events(story.session.id)
    assert len(events) == len(set(events)) == 3
