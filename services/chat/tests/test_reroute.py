"""Absent and deactivated mitras: the customer goes on without a second payment, or is refunded."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from services.chat.tests.world import World, all_of

from chat import errors
from chat.domain.facts import Story
from common.ids import new_id


async def request_state(world: World, story: Story) -> str:
    """Return the state of the session's request in pairing."""
    found: str = await world.admin.fetchval(
        "SELECT state FROM pairing.requests WHERE id = $1", story.session.request_id
    )
    return found


async def accept_again(world: World, story: Story, mitra_id: object) -> asyncpg.Record:
    """Let another mitra win the reopened request, as pairing would."""
    await world.admin.execute(
        "UPDATE pairing.requests SET state = 'matched', mitra_id = $2, next_ring_at = NULL,"
        " settled_at = now() WHERE id = $1",
        story.session.request_id,
        mitra_id,
    )
    tier = await world.admin.fetchrow("SELECT * FROM chat.tier_v1('chat-15')")
    session = story.session
    return await world.open(mitra_id, session.request_id, session.customer_id, tier)  # type: ignore[arg-type]  # a row's uuid


async def open_in(
    connection: asyncpg.Connection, mitra_id: UUID, request_id: UUID, customer_id: UUID, tier: Any
) -> asyncpg.Record:
    """Open a session in the caller's transaction, as pairing does."""
    row = await connection.fetchrow(
        "SELECT * FROM chat.open_session_v1($1, $2, $3, $4, $5, $6, $7, 'sleepless', 'normal')",
        request_id,
        customer_id,
        mitra_id,
        tier["tier_id"],
        tier["version"],
        tier["duration_seconds"],
        tier["price_idr"],
    )
    assert row is not None
    return row


@pytest.mark.req("PA-05", "CH-08")
async def test_no_show(world: World) -> None:
    """Nobody shows up: another mitra gets the session, already paid, with its full time."""
    story = await world.active()
    session = story.session
    assert session.show_up_by is not None
    await world.let_pass(session.id, "show_up_by")
    assert await world.deadlines.settle_due() == 1
    gone = (await world.story(session.id)).session
    assert (gone.state, gone.ended_reason, gone.slot) == ("rerouted", "no_show", None)
    assert await request_state(world, story) == "searching"
    assert (await world.events(session.id))[-1] == "session_rerouted"
    with pytest.raises(errors.SessionNotFound):
        await world.sessions.show(session.id, session.mitra_id)
    with pytest.raises(errors.SessionNotFound):
        await world.say(story, session.mitra_id, "maaf, baru lihat")

    opened = await accept_again(world, story, await world.mitra())
    assert (opened["outcome"], opened["state"]) == ("opened", "active")
    second = (await world.story(opened["session_id"])).session
    assert second.activated_at is not None
    assert second.ends_at is not None
    assert second.ends_at - second.activated_at == session.tier.duration
    assert second.show_up_by is not None
    assert await world.events(second.id) == ["session_created", "session_activated"]
    (payment,) = await world.store.session_payments(second.id)
    assert payment.state == "paid"


@pytest.mark.req("PA-05")
async def test_who_shows_up_is_left_alone(world: World) -> None:
    """Any frame of hers before the deadline counts; then only a long silence loses her."""
    story = await world.active()
    session = story.session
    world.attendance.saw(session.mitra_id)
    await world.attendance.write_down()
    seen = (await world.story(session.id)).session
    assert seen.show_up_by is None
    assert seen.lost_by is not None
    assert await world.deadlines.settle_due() == 0

    await world.attendance.left(session.mitra_id)
    left = (await world.story(session.id)).session
    assert left.lost_by is not None
    assert left.lost_by < seen.lost_by
    world.attendance.saw(session.mitra_id)
    await world.attendance.write_down()
    back = (await world.story(session.id)).session
    assert back.lost_by is not None
    assert back.lost_by > left.lost_by

    await world.let_pass(session.id, "lost_by")
    world.attendance.saw(session.mitra_id)
    await world.attendance.write_down()
    assert await world.deadlines.settle_due() == 1
    gone = (await world.story(session.id)).session
    assert (gone.state, gone.ended_reason) == ("rerouted", "lost")


@pytest.mark.req("PA-05")
async def test_a_reply_settles_it(world: World) -> None:
    """After her first reply a mitra is never rerouted away."""
    story = await world.active(replied=True)
    session = story.session
    assert (session.show_up_by, session.lost_by) == (None, None)
    await world.attendance.left(session.mitra_id)
    world.attendance.saw(session.mitra_id)
    await world.attendance.write_down()
    assert (await world.story(session.id)).session.lost_by is None
    with pytest.raises(asyncpg.CheckViolationError):
        await world.admin.execute(
            "UPDATE chat.sessions SET state = 'rerouted', slot = NULL, completed_at = now(),"
            " ended_reason = 'x' WHERE id = $1",
            session.id,
        )


@pytest.mark.req("PA-05", "CH-03")
async def test_superseded(world: World) -> None:
    """A customer who asked anew meanwhile is not given two mitras: the first payment goes back."""
    story = await world.active()
    session = story.session
    await world.admin.execute(
        "INSERT INTO pairing.requests (customer_id, tier_id, tier_version, duration_seconds,"
        " price_idr, topic, sensitivity, wait, wait_until, next_ring_at) VALUES ($1, 'chat-15',"
        " 1, 900, 15000, 'x', 'normal', '2 minutes', now() + interval '2 minutes', now())",
        session.customer_id,
    )
    await world.let_pass(session.id, "show_up_by")
    assert await world.deadlines.settle_due() == 1
    assert await world.state(session.id) == "rerouted"
    assert await request_state(world, story) == "matched"
    (payment,) = await world.store.session_payments(session.id)
    assert (payment.state, payment.refund_idr) == ("refund_due", 15000)


@pytest.mark.req("PA-05", "CH-03")
async def test_nobody_found(world: World) -> None:
    """The reopened request ends without a mitra: what was paid goes back, whole."""
    story = await world.active()
    await world.let_pass(story.session.id, "show_up_by")
    await world.deadlines.settle_due()
    async with world.database.connect("pairing") as connection:
        for _ in range(2):
            await connection.execute(
                "SELECT chat.request_ended_v1($1, 'request_expired')", story.session.request_id
            )
    (payment,) = await world.store.session_payments(story.session.id)
    assert (payment.state, payment.refund_reason) == ("refund_due", "request_expired")
    assert await world.payments.give_back_due() == 1
    assert await world.ledger(payment) == 0


@pytest.mark.req("CH-03")
async def test_a_living_session_keeps_its_money(world: World) -> None:
    """An ended request whose session lives refunds nothing."""
    story = await world.active()
    async with world.database.connect("pairing") as connection:
        await connection.execute(
            "SELECT chat.request_ended_v1($1, 'request_cancelled')", story.session.request_id
        )
    (payment,) = await world.store.session_payments(story.session.id)
    assert payment.state == "paid"


@pytest.mark.req("PA-05", "CH-06")
async def test_an_applied_extension_does_not_travel(world: World) -> None:
    """Time bought for a session that is rerouted goes back; the money of the request does not."""
    story = await world.active()
    session = story.session
    world.attendance.saw(session.mitra_id)
    await world.attendance.write_down()
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    await world.pay(story, asked.extension_id)
    await world.let_pass(session.id, "lost_by")
    assert await world.deadlines.settle_due() == 1
    payments = await world.store.session_payments(session.id)
    assert [(p.extension_id is None, p.state) for p in payments] == [
        (True, "paid"),
        (False, "refund_due"),
    ]


@pytest.mark.req("PA-05")
async def test_many_settle_one_absence(world: World) -> None:
    """However many find the deadline, the session is rerouted once."""
    story = await world.active()
    await world.let_pass(story.session.id, "show_up_by")
    await all_of(*(world.deadlines.settle_due() for _ in range(6)))
    assert (await world.events(story.session.id)).count("session_rerouted") == 1
    opened = await world.admin.fetchval(
        "SELECT count(*) FROM pairing.outbox WHERE subject = 'evt.pairing.request_opened.v1'"
        " AND body->>'request_id' = $1::text",
        str(story.session.request_id),
    )
    assert opened == 1


@pytest.mark.req("AU-11")
async def test_deactivated(world: World) -> None:
    """Unpaid: cancelled. Not replied: rerouted. Replied: closed, with the unused time refunded."""
    mitra = await world.mitra()
    pending = await world.pending(mitra)
    fresh = await world.active(mitra)
    spoken = await world.active(mitra, replied=True)
    await world.mitras.deactivated(mitra)
    assert await world.state(pending.session.id) == "pending_payment"

    await world.deactivate(mitra)
    await world.mitras.deactivated(mitra)
    await world.mitras.deactivated(mitra)
    states = [await world.state(story.session.id) for story in (pending, fresh, spoken)]
    assert states == ["cancelled", "rerouted", "closing"]
    assert await request_state(world, fresh) == "searching"
    assert await world.load(mitra) == (0, 6)
    (payment,) = await world.store.session_payments(spoken.session.id)
    assert payment.state == "refund_due"
    assert payment.refund_idr is not None
    # Of 15 minutes for 15000, less whatever has gone by.
    assert 13_000 < payment.refund_idr <= 15_000
    assert payment.refund_reason == "mitra_deactivated"


@pytest.mark.req("AU-11")
@pytest.mark.parametrize("is_new", [False, True])
async def test_deactivated_while_a_session_opens(world: World, is_new: bool) -> None:  # noqa: FBT001 - a case
    """A session that was being opened when its mitra was switched off does not stay with her."""
    mitra = await world.mitra()
    if is_new:
        await world.admin.execute("DELETE FROM chat.mitra_load WHERE mitra_id = $1", mitra)
    request = await world.request(mitra)
    async with world.database.connect("pairing") as connection, connection.transaction():
        opened = await open_in(connection, mitra, *request)
        await world.deactivate(mitra)
        handling = asyncio.create_task(world.mitras.deactivated(mitra))
        await asyncio.wait({handling}, timeout=0.2)
    await handling
    assert await world.state(opened["session_id"]) == "cancelled"
    assert (await world.load(mitra))[0] == 0


@pytest.mark.req("CH-09", "PA-05")
async def test_a_raised_sensitivity_stays_raised(world: World) -> None:
    """The session that another mitra gets is as sensitive as the one that was rerouted."""
    story = await world.active()
    session = story.session
    await world.sessions.raise_sensitivity(
        session.id,
        changed_by=session.mitra_id,
        role="mitra",
        sensitivity="sensitive",
        reason=None,
    )
    await world.let_pass(session.id, "show_up_by")
    await world.deadlines.settle_due()
    opened = await accept_again(world, story, await world.mitra())
    assert (await world.story(opened["session_id"])).session.sensitivity == "sensitive"


@pytest.mark.req("CH-08")
async def test_a_rerouted_away_mitra_hears_no_more(world: World) -> None:
    """She is told once that the session is not hers any more, and nothing of it after that."""
    story = await world.active()
    session = story.session
    await world.say(story, session.customer_id, "halo")
    await world.let_pass(session.id, "show_up_by")
    await world.deadlines.settle_due()
    assert world.realtime.of(session.mitra_id, "session")[-1]["state"] == "rerouted"
    world.realtime.told.clear()

    await world.sessions.move_horizon(session.id, session.customer_id, delivered=1, read=1)
    async with world.database.connect("pairing") as connection:
        await connection.execute(
            "SELECT chat.request_ended_v1($1, 'request_expired')", session.request_id
        )
    assert await world.payments.give_back_due() == 1
    assert {user for user, _ in world.realtime.told} == {session.customer_id}


@pytest.mark.req("AU-11")
async def test_inactive_mitra_gets_no_session(world: World) -> None:
    """Whoever is switched off is refused under her load's lock."""
    mitra = await world.mitra()
    request_id, customer_id, tier = await world.request(mitra)
    await world.deactivate(mitra)
    opened = await world.open(mitra, request_id, customer_id, tier)
    assert (opened["outcome"], opened["session_id"]) == ("inactive", None)
    unknown = await world.open(new_id(), request_id, customer_id, tier)
    assert unknown["outcome"] == "inactive"


@pytest.mark.req("AU-11", "AV-10")
async def test_created(world: World) -> None:
    """A new mitra's capacity is taken once; an operator's later choice is not undone."""
    mitra = await world.mitra()
    await world.admin.execute("DELETE FROM chat.mitra_load WHERE mitra_id = $1", mitra)
    event = new_id()
    await world.mitras.created(event, mitra, 5)
    await world.mitras.created(event, mitra, 5)
    assert (await world.store.capacity(mitra)).capacity == 5
    await world.control.set_capacity(mitra, new_id(), 2)
    await world.mitras.created(new_id(), mitra, 5)
    capacity = await world.store.capacity(mitra)
    assert (capacity.capacity, capacity.version) == (2, 2)
