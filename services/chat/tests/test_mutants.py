"""The naive variants of what chat relies on, each seen to break: so the race tests do catch it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncpg
import pytest
from services.chat.tests.world import World, all_of

from common.ids import new_id
from common.testing import eventually

# Where a mutant waits until the test has seen that a second one is there, too.
GATE = "PERFORM set_config('lock_timeout', '0', true); PERFORM pg_advisory_xact_lock_shared(7);"


async def mutate(world: World, function: str, **changes: tuple[str, str]) -> None:
    """Replace texts inside a function; each must be there."""
    signature = f"chat.{function}"
    source: str = await world.admin.fetchval("SELECT pg_get_functiondef($1::regproc)", signature)
    for old, new in changes.values():
        assert old in source, old
        source = source.replace(old, new)
    await world.admin.execute(source)


async def together(world: World, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run calls side by side; none comes past the gate before a second has come as far."""
    await world.admin.execute("SELECT pg_advisory_lock(7)")
    running = asyncio.ensure_future(all_of(*calls))
    await eventually(lambda: _two_wait(world))
    await world.admin.execute("SELECT pg_advisory_unlock(7)")
    return await running


async def _two_wait(world: World) -> bool:
    waiting: int = await world.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return waiting >= 2


@pytest.mark.req("PA-03")
async def test_without_the_load_lock_and_the_belt(own_world: World) -> None:
    """Count and insert, without lock, trigger or unique slot: more sessions than she may hold."""
    world = own_world
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
        pause=("v_now := clock_timestamp();", f"v_now := clock_timestamp(); {GATE}"),
    )
    mitra = await world.mitra(capacity=1)
    requests = [await world.request(mitra) for _ in range(6)]
    opened = await together(world, *(world.open(mitra, *request) for request in requests))
    assert sum(row["outcome"] == "opened" for row in opened) > 1


@pytest.mark.req("CH-05", "SW-04")
async def test_without_holding_the_session(own_world: World) -> None:
    """Without the row locks several tickers tell one deadline several times."""
    world = own_world
    await world.admin.execute("SET search_path = chat")
    await mutate(world, "hold_session", locks=(" FOR UPDATE", ""))
    await mutate(world, "sessions_guard", pause=("RETURN NEW;", f"{GATE} RETURN NEW;"))
    story = await world.pending()
    await world.let_pass(story.session.id, "pay_by")
    (item,) = await world.store.due(10)
    # Past the set of one process, as if they were several replicas.
    await together(world, *(world.deadlines.settle(item) for _ in range(4)))
    assert (await world.events(story.session.id)).count("session_cancelled") > 1


@pytest.mark.req("CH-05")
async def test_without_the_clock_in_the_insert(own_world: World) -> None:
    """Trusting the state alone, a message is stored after the deadline until somebody sweeps."""
    world = own_world
    await world.admin.execute("SET search_path = chat")
    await mutate(world, "add_messages", clock=("v_session.ends_at > v_now", "true"))
    story = await world.active(replied=True)
    await world.let_pass(story.session.id, "ends_at")
    assert await world.say(story, story.session.customer_id, "terlambat") == 2


@pytest.mark.req("CH-04")
async def test_without_the_session_lock_messages_collide(own_world: World) -> None:
    """Looking for a repeated message before the lock, twins collide instead of being answered."""
    world = own_world
    await world.admin.execute("SET search_path = chat")
    await mutate(
        world,
        "add_messages",
        lock=("WHERE s.id = v_in.session_id FOR UPDATE", "WHERE s.id = v_in.session_id"),
        pause=("v_now := clock_timestamp();", f"v_now := clock_timestamp(); {GATE}"),
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

    outcomes = await together(world, *(send() for _ in range(4)))
    assert any(isinstance(outcome, asyncpg.UniqueViolationError) for outcome in outcomes)
