"""Races that only Postgres can settle: slots, seqs, callbacks, deadlines, ends."""

import asyncio
import random
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from services.chat.tests.world import World, all_of

from chat import errors
from chat.domain.messages import Draft
from common.db import Unavailable
from common.ids import new_id


@pytest.mark.req("PA-03")
async def test_ten_accepts_of_three_slots(world: World) -> None:
    """Ten acceptances at once of a mitra with three slots: three sessions, distinct slots."""
    mitra = await world.mitra(capacity=3)
    requests = [await world.request(mitra) for _ in range(10)]
    opened = await all_of(*(world.open(mitra, *request) for request in requests))
    outcomes = [row["outcome"] for row in opened]
    assert sorted(outcomes) == ["full"] * 7 + ["opened"] * 3
    slots = await world.admin.fetch(
        "SELECT slot FROM chat.sessions WHERE mitra_id = $1 ORDER BY slot", mitra
    )
    assert [row["slot"] for row in slots] == [1, 2, 3]
    assert await world.load(mitra) == (3, 3)
    winners = [row for row in opened if row["outcome"] == "opened"]
    assert sorted((row["load"], row["load_version"]) for row in winners) == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.req("PA-03")
async def test_the_belt(own_world: World) -> None:
    """With the check and the lock removed from open_session_v1 nobody exceeds her capacity."""
    world = own_world
    await world.admin.execute("SET search_path = chat")
    source: str = await world.admin.fetchval(
        "SELECT pg_get_functiondef('chat.open_session_v1'::regproc)"
    )
    # The naive code: any slot that looks free, however many she may hold, and no load lock.
    naive = (
        source.replace("generate_series(1, v_capacity)", "generate_series(1, 99)")
        .replace("v_capacity <= (", "99 <= (")
        .replace("WHERE l.mitra_id = p_mitra FOR UPDATE", "WHERE l.mitra_id = p_mitra")
    )
    assert naive != source
    await world.admin.execute(naive)
    mitra = await world.mitra(capacity=2)
    requests = [await world.request(mitra) for _ in range(8)]
    outcomes = await all_of(*(world.open(mitra, *request) for request in requests))
    refused = [outcome for outcome in outcomes if isinstance(outcome, asyncpg.PostgresError)]
    assert len(refused) >= 6
    held = await world.admin.fetch(
        "SELECT slot FROM sessions WHERE mitra_id = $1 AND slot IS NOT NULL", mitra
    )
    assert sorted(row["slot"] for row in held) in ([1, 2], [1])


@pytest.mark.req("PA-03")
async def test_one_session_per_request(world: World) -> None:
    """Two mitras cannot both get a session for one request, even if pairing let them."""
    mitras = [await world.mitra() for _ in range(5)]
    request = await world.request(mitras[0])
    outcomes = await all_of(*(world.open(mitra, *request) for mitra in mitras))
    assert sum(isinstance(outcome, asyncpg.UniqueViolationError) for outcome in outcomes) == 4


@pytest.mark.req("PA-03", "CH-05", "CH-06")
async def test_a_resumed_slot_is_free_in_time(world: World) -> None:
    """Paid time that was resumed before any reply ends for the next one, too, sweep or not."""
    mitra = await world.mitra(capacity=1)
    story = await world.active(mitra)
    session = story.session
    world.attendance.saw(mitra)
    await world.attendance.write_down()
    await world.let_pass(session.id, "ends_at")
    await world.deadlines.settle_due()
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    await world.extensions.accept(session.id, asked.extension_id, mitra)
    await world.pay(story, asked.extension_id)
    assert await world.state(session.id) == "active"

    await world.let_pass(session.id, "ends_at")
    opened = await world.open(mitra, *await world.request(mitra))
    assert opened["outcome"] == "opened"
    assert await world.state(session.id) == "expired"


@pytest.mark.req("CH-01", "PA-03")
async def test_overdue_slots_are_free_for_the_next(world: World) -> None:
    """A slot whose session is overdue is free for the next acceptance, before anybody sweeps."""
    mitra = await world.mitra(capacity=1)
    for make, deadline, state in (
        (world.pending, "pay_by", "cancelled"),
        (world.active, "ends_at", "expired"),
    ):
        story = await make(mitra)
        if make == world.active:
            await world.say(story, mitra, "halo")
        await world.let_pass(story.session.id, deadline)
        opened = await world.open(mitra, *await world.request(mitra))
        assert opened["outcome"] == "opened"
        assert await world.state(story.session.id) == state
        assert (await world.events(story.session.id))[-1] == f"session_{state}"
        await world.sessions.end(opened["session_id"], mitra)


@pytest.mark.req("CH-01", "CH-11")
@pytest.mark.parametrize("case", ["unpaid", "over", "extension", "extension_after"])
async def test_both_ways_of_catching_up_agree(world: World, case: str) -> None:
    """What open_session_v1 makes of an overdue session is what the ticker makes of it."""

    async def overdue() -> UUID:
        mitra = await world.mitra()
        if case == "unpaid":
            story = await world.pending(mitra)
            await world.payments.start(story.session.id, story.session.customer_id)
            await world.let_pass(story.session.id, "pay_by")
            return story.session.id
        story = await world.active(mitra, replied=True)
        if case == "over":
            await world.let_pass(story.session.id, "ends_at")
            return story.session.id
        asked = await world.extensions.ask(story.session.id, story.session.customer_id, "test-1")
        if case == "extension_after":
            await world.let_pass(story.session.id, "ends_at")
            await world.deadlines.settle_due()
        await world.let_extension_pass(asked.extension_id, "answer_by")
        return story.session.id

    async def facts(session_id: UUID) -> dict[str, Any]:
        row = await world.admin.fetchrow(
            "SELECT s.state, s.slot, s.open_extension_id, s.ended_reason, s.version, s.warn_at,"
            " s.show_up_by, s.lost_by, s.expired_until - s.ends_at AS window,"
            " s.completed_at IS NULL AS open, e.state AS extension, e.resolved_reason,"
            " array(SELECT p.state FROM chat.payments p WHERE p.request_id = s.request_id) AS money"
            " FROM chat.sessions s LEFT JOIN chat.extensions e ON e.session_id = s.id"
            " WHERE s.id = $1",
            session_id,
        )
        found = dict(row)
        if found["warn_at"] is not None:
            found["warn_at"] = True
        reasons = await world.admin.fetch(
            "SELECT subject, body->>'reason' AS reason, body->>'version' AS version"
            " FROM chat.outbox WHERE body->>'session_id' = $1::text ORDER BY position",
            str(session_id),
        )
        return found | {"events": [tuple(row) for row in reasons]}

    swept = await overdue()
    await world.deadlines.settle_due()
    accepted = await overdue()
    story = await world.story(accepted)
    await world.open(story.session.mitra_id, *await world.request(story.session.mitra_id))
    assert await facts(accepted) == await facts(swept)


@pytest.mark.req("CH-04")
async def test_parallel_messages_are_gapless(world: World) -> None:
    """Many messages at once from both sides: no gap, no double, each acknowledged one is stored."""
    story = await world.active(replied=True)
    session = story.session
    drafts = [
        Draft(session.id, random.choice((session.customer_id, session.mitra_id)), new_id(), str(n))
        for n in range(100)
    ]
    twice = [*drafts, *random.sample(drafts, 30)]
    sent = await asyncio.gather(*(world.messages.send(draft) for draft in twice))
    found = await world.store.read_messages(session.id, after_seq=0, limit=500)
    assert [message.seq for message in found] == list(range(1, 102))
    by_client = {message.client_message_id: message for message in found}
    assert len(by_client) == 101
    for draft, message in zip(twice, sent, strict=True):
        assert by_client[draft.client_message_id] == message
    told = [frame["seq"] for frame in world.realtime.of(session.mitra_id, "message")]
    assert told == sorted(told)
    assert len(told) == len(set(told)) == 101


@pytest.mark.req("CH-04")
async def test_two_replicas_write_one_session(world: World) -> None:
    """Batches of two replicas over the same sessions lock in one order and leave no gap."""
    stories = [await world.active(replied=True) for _ in range(4)]
    ids = [story.session for story in stories]

    async def batch() -> None:
        drafts = [Draft(s.id, s.customer_id, new_id(), "x") for s in random.sample(ids, 4)]
        for outcome, sent in await world.store.add_messages(drafts * 2):
            assert sent is not None, outcome

    await asyncio.gather(*(batch() for _ in range(20)))
    for session in ids:
        found = await world.store.read_messages(session.id, after_seq=0, limit=500)
        assert [message.seq for message in found] == list(range(1, 22))


@pytest.mark.req("CH-05")
async def test_no_message_slips_past_the_end(world: World) -> None:
    """Messages race with the end: whatever is stored was sent before the deadline."""
    story = await world.active(replied=True)
    session = story.session
    await world.admin.execute(
        "UPDATE chat.sessions SET ends_at = clock_timestamp() + interval '150 ms' WHERE id = $1",
        session.id,
    )

    async def talk() -> int:
        for count in range(10_000):
            try:
                await world.say(story, session.customer_id, "x")
            except errors.SessionOver:
                return count
        return -1

    counts = await asyncio.gather(*(talk() for _ in range(4)))
    assert all(count >= 0 for count in counts)
    late = await world.admin.fetchval(
        "SELECT count(*) FROM chat.messages m JOIN chat.sessions s ON s.id = m.session_id"
        " WHERE m.sent_at >= s.ends_at"
    )
    assert late == 0


@pytest.mark.req("CH-03")
async def test_callbacks_in_any_order(world: World) -> None:
    """Each word ten times, in parallel and shuffled: one credit, one activation."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    words = [
        world.provider.word(view.order_id, verdict)
        for verdict in ("pending", "paid", "expired", "failed")
    ] * 10
    random.shuffle(words)

    async def hear(word: Any) -> None:
        # A provider whose call was not taken calls again, however often.
        while True:
            try:
                return await world.payments.hear(word, source="notification")
            except Unavailable:
                await asyncio.sleep(random.uniform(0.02, 0.1))

    await asyncio.gather(*(hear(word) for word in words))
    payment = await world.payment(view.order_id)
    captured = await world.ledger(payment)
    assert captured == 15000
    state = await world.state(story.session.id)
    # Expired before paid: the provider itself gave the order up, so the money goes back.
    assert (payment.state, state) in (("paid", "active"), ("refund_due", "pending_payment"))
    assert (await world.events(story.session.id)).count("session_activated") == (state == "active")
    noted = await world.admin.fetchval("SELECT count(*) FROM chat.payment_events")
    assert noted == 4


@pytest.mark.req("CH-03")
async def test_pay_races_with_the_hold(world: World) -> None:
    """Payment, end of the hold and the customer's own end at once: one outcome, money exact."""
    for _ in range(8):
        story = await world.pending()
        session = story.session
        view = await world.payments.start(session.id, session.customer_id)
        await world.admin.execute(
            "UPDATE chat.sessions SET pay_by = clock_timestamp() + interval '5 ms' WHERE id = $1",
            session.id,
        )
        await all_of(
            world.word(view.order_id, "paid"),
            world.deadlines.settle_due(),
            world.sessions.end(session.id, session.customer_id),
            world.deadlines.settle_due(),
        )
        await world.let_pass(session.id, "pay_by")
        await world.deadlines.settle_due()
        payment = await world.payment(view.order_id)
        state = await world.state(session.id)
        assert (state, payment.state) in (
            ("active", "paid"),
            ("closing", "paid"),
            ("cancelled", "refund_due"),
        )


@pytest.mark.req("CH-05", "SW-04")
async def test_each_deadline_once(world: World) -> None:
    """Forty deadlines and three tickers: each fires once."""
    stories = []
    for _ in range(10):
        mitra = await world.mitra(capacity=4)
        stories += [await world.pending(mitra) for _ in range(4)]
    ids = [story.session.id for story in stories]
    await world.admin.execute(
        "UPDATE chat.sessions SET pay_by = clock_timestamp() WHERE id = ANY ($1)", ids
    )
    settled = await asyncio.gather(*(world.deadlines.settle_due() for _ in range(3)))
    assert sum(settled) == 40
    events = await world.admin.fetchval(
        "SELECT count(*) FROM chat.outbox WHERE subject = 'evt.chat.session_cancelled.v1'"
    )
    assert events == 40


@pytest.mark.req("SW-04")
async def test_deadlines_leave_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commands come at once, the pool is left to the people who wait."""
    mitras = [await world.mitra() for _ in range(8)]
    stories = [await world.pending(mitra) for mitra in mitras for _ in range(3)]
    for story in stories:
        await world.let_pass(story.session.id, "pay_by")
    due = await world.store.due(100)
    run, now, most = world.store.run, 0, 0

    async def counted(work: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await run(work)
        finally:
            now -= 1

    monkeypatch.setattr(world.store, "run", counted)
    settled = await asyncio.gather(*(world.deadlines.settle_all(due[n::6]) for n in range(6)))
    assert sum(settled) == len(stories)
    assert most <= 4


@pytest.mark.req("CH-06")
async def test_answers_race(world: World) -> None:
    """Accept, decline and time-out at once: one outcome, typed refusals for the others."""
    for _ in range(5):
        story = await world.active(replied=True)
        session = story.session
        asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
        outcomes = await all_of(
            world.extensions.accept(session.id, asked.extension_id, session.mitra_id),
            world.extensions.decline(session.id, asked.extension_id, session.mitra_id),
            world.extensions.accept(session.id, asked.extension_id, session.mitra_id),
        )
        refused = [o for o in outcomes if isinstance(o, Exception)]
        assert all(isinstance(o, errors.ExtensionResolved) for o in refused), outcomes
        assert refused
        (extension,) = await world.store.session_extensions(session.id)
        assert extension.state in ("accepted", "declined")


@pytest.mark.req("CH-06")
async def test_one_open_extension(world: World) -> None:
    """Many asks at once make one extension."""
    story = await world.active(replied=True)
    session = story.session
    asked = await all_of(
        *(world.extensions.ask(session.id, session.customer_id, "test-1") for _ in range(8))
    )
    assert len({view.extension_id for view in asked}) == 1


@pytest.mark.req("CH-07")
async def test_ends_race(world: World) -> None:
    """Both end at once: one begin of the goodbye phase."""
    story = await world.active(replied=True)
    session = story.session
    await asyncio.gather(
        *(world.sessions.end(session.id, user) for user in (session.customer_id, session.mitra_id))
    )
    assert (await world.events(session.id)).count("session_closing") == 1


@pytest.mark.req("CH-03")
async def test_one_checkout(world: World) -> None:
    """Many taps on pay lead to one payment and one page."""
    story = await world.pending()
    views = await all_of(
        *(world.payments.start(story.session.id, story.session.customer_id) for _ in range(6))
    )
    assert len({(view.payment_id, view.token) for view in views}) == 1


@pytest.mark.req("CH-03")
async def test_one_refund(world: World) -> None:
    """Several replicas find a refund that is due: the provider is asked once."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.sessions.end(story.session.id, story.session.customer_id)
    await world.word(view.order_id, "paid")
    given = await asyncio.gather(*(world.payments.give_back_due() for _ in range(4)))
    assert sum(given) == 1


@pytest.mark.req("CH-03")
async def test_refused_refund_is_tried_again(world: World) -> None:
    """A refund that the provider refuses stays owed and is tried again, more and more rarely."""
    story = await world.pending()
    view = await world.payments.start(story.session.id, story.session.customer_id)
    await world.sessions.end(story.session.id, story.session.customer_id)
    await world.word(view.order_id, "paid")
    world.provider.refuses = True
    assert await world.payments.give_back_due() == 0
    assert await world.payments.give_back_due() == 0
    payment = await world.payment(view.order_id)
    assert (payment.state, payment.refund_tries) == ("refund_due", 1)
    world.provider.refuses = False
    await world.admin.execute("UPDATE chat.payments SET refund_at = clock_timestamp()")
    assert await world.payments.give_back_due() == 1
