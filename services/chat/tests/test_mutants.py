"""The naive variants of what chat relies on, each seen to break: so the race tests do catch it."""

import asyncio

import asyncpg
import pytest
from services.chat.tests.world import World, all_of

from common.ids import new_id


async def mutate(world: World, function: str, **changes: str) -> None:
    """Replace texts inside a function; each must be there."""
    signature = f"chat.{function}"
    source: str = await world.admin.fetchval("SELECT pg_get_functiondef($1::regproc)", signature)
    for old, new in changes.values():
        assert old in source, old
        source = source.replace(old, new)
    await world.admin.execute(source)


@pytest.mark.req("PA-03")
async def test_without_the_load_lock_and_the_belt(world: World) -> None:
    """Count and insert, without lock, trigger or unique slot: more sessions than she may hold."""
    await world.admin.execute("SET search_path = chat")
    await world.admin.execute("DROP INDEX sessions_slot")
    await world.admin.execute(
        "ALTER TABLE sessions DISABLE TRIGGER sessions_slot_within_capacity,"
        " DISABLE TRIGGER sessions_bump_load"
    )
    await mutate(
        world,
        "open_session_v1",
        lock=("WHERE l.mitra_id = p_mitra FOR UPDATE", "WHERE l.mitra_id = p_mitra"),
        pause=("v_now := clock_timestamp();", "v_now := clock_timestamp(); PERFORM pg_sleep(0.1);"),
    )
    mitra = await world.mitra(capacity=1)
    requests = [await world.request(mitra) for _ in range(6)]
    opened = await all_of(*(world.open(mitra, *request) for request in requests))
    assert sum(row["outcome"] == "opened" for row in opened) > 1


@pytest.mark.req("CH-05", "SW-04")
async def test_without_holding_the_session(world: World) -> None:
    """Without the row locks several tickers tell one deadline several times."""
    await world.admin.execute("SET search_path = chat")
    await mutate(world, "hold_session", locks=(" FOR UPDATE", ""))
    for _ in range(5):
        mitra = await world.mitra(capacity=4)
        for _ in range(4):
            await world.pending(mitra)
    await world.admin.execute("UPDATE sessions SET pay_by = clock_timestamp()")
    due = await world.store.due(100)
    # Past the set of one process, as if they were several replicas.
    await asyncio.gather(
        *(world.deadlines.settle(item) for item in due for _ in range(3)), return_exceptions=True
    )
    told = await world.admin.fetchval(
        "SELECT count(*) FROM outbox WHERE subject = 'evt.chat.session_cancelled.v1'"
    )
    assert told > len(due)


@pytest.mark.req("CH-05")
async def test_without_the_clock_in_the_insert(world: World) -> None:
    """Trusting the state alone, a message is stored after the deadline until somebody sweeps."""
    await world.admin.execute("SET search_path = chat")
    await mutate(world, "add_messages", clock=("v_session.ends_at > v_now", "true"))
    story = await world.active(replied=True)
    await world.let_pass(story.session.id, "ends_at")
    assert await world.say(story, story.session.customer_id, "terlambat") == 2


@pytest.mark.req("CH-04")
async def test_without_the_session_lock_messages_collide(world: World) -> None:
    """Looking for a repeated message before the lock, twins collide instead of being answered."""
    await world.admin.execute("SET search_path = chat")
    await mutate(
        world,
        "add_messages",
        lock=("WHERE s.id = v_in.session_id FOR UPDATE", "WHERE s.id = v_in.session_id"),
        pause=("v_now := clock_timestamp();", "v_now := clock_timestamp(); PERFORM pg_sleep(0.1);"),
    )
    story = await world.active(replied=True)
    session, client_id = story.session, new_id()

    async def send() -> None:
        async with world.database.connect("chat") as connection:
            await connection.execute(
                "SELECT * FROM add_messages(ARRAY[0], ARRAY[$1::uuid], ARRAY[$2::uuid],"
                " ARRAY[$3::uuid], ARRAY['halo'])",
                session.id,
                session.customer_id,
                client_id,
            )

    outcomes = await all_of(*(send() for _ in range(4)))
    assert any(isinstance(outcome, asyncpg.UniqueViolationError) for outcome in outcomes)
