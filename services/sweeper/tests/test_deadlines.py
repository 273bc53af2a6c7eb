"""Promises about deadlines, over a real Postgres and a real bus, with a simple owner."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel
from services.sweeper.tests.fakes import NoMeter, NoRuns
from tests.support import Databases, TestDatabase

from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from sweeper import jobs
from sweeper.domain import Plan, due_sweep
from sweeper.handlers.driving import Driver
from sweeper.handlers.sweeps import DueDeadlines
from sweeper.providers.owners import BusOwners, Settled, SettleDue
from sweeper.store import LeaseStore, TruthStore

SHARDS = 2
OWNER = """
CREATE TABLE chat.alarms (
    id uuid PRIMARY KEY DEFAULT uuidv7(), due_at timestamptz NOT NULL,
    times int NOT NULL DEFAULT 0, settled_at timestamptz
);
CREATE FUNCTION chat.due_v1(p_limit int) RETURNS TABLE (kind text, id uuid, due_at timestamptz)
LANGUAGE sql SECURITY DEFINER AS $$
    SELECT 'alarm', a.id, a.due_at FROM chat.alarms AS a
    WHERE a.settled_at IS NULL AND a.due_at <= clock_timestamp() ORDER BY a.due_at LIMIT p_limit
$$;
GRANT EXECUTE ON FUNCTION chat.due_v1(int) TO sweeper;
"""
SETTLE = """
UPDATE chat.alarms SET settled_at = clock_timestamp(), times = times + 1
WHERE id = $1 AND settled_at IS NULL AND due_at <= clock_timestamp()
"""


@pytest.fixture
async def clone(databases: Databases) -> AsyncIterator[TestDatabase]:
    """Lend a database with the sweeper's schema and an owner of alarms."""
    lent = await databases.fresh("sweeper")
    async with lent.admin() as admin:
        await admin.execute(OWNER)
    yield lent
    await databases.drop(lent)


@dataclass
class Owner:
    """Settles alarms as real owners do: one guarded statement a row."""

    admin: asyncpg.Connection

    async def settle(self, body: bytes, _headers: object) -> BaseModel:
        """Answer the command."""
        command = SettleDue.model_validate_json(body)
        count = 0
        for item in command.items:
            answer = await self.admin.execute(SETTLE, item.id)
            count += int(answer.split()[-1])
        return Settled(settled=count)


@asynccontextmanager
async def owning(clone: TestDatabase, nats_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Run the owner."""
    runner = Runner()
    async with clone.admin() as admin, clone.admin() as looking:
        bus = await Bus.connect(nats_url, name="owner", runner=runner)
        gate = asyncio.Lock()
        owner = Owner(admin)

        async def settle(body: bytes, headers: object) -> BaseModel:
            async with gate:
                return await owner.settle(body, headers)

        bus.serve("cmd.chat.settle_due.v1", queue="chat", handler=settle)
        try:
            yield looking
        finally:
            await runner.stop()


@asynccontextmanager
async def sweepers(count: int, clone: TestDatabase, nats_url: str) -> AsyncIterator[None]:
    """Run some sweepers that drive the alarms."""
    runners = [Runner() for _ in range(count)]
    try:
        for number, runner in enumerate(runners):
            await start(f"s{number}", clone, nats_url, runner)
        yield
    finally:
        await asyncio.gather(*(runner.stop() for runner in runners))


async def start(holder: str, clone: TestDatabase, nats_url: str, runner: Runner) -> None:
    """Start one sweeper."""
    db = await Database.connect(clone.url("sweeper"), name=holder)
    runner.on_stop(db.close)
    bus = await Bus.connect(nats_url, name=holder, runner=runner)
    name = due_sweep("chat")
    plan = Plan(cadences={name: 0.5}, shards={name: SHARDS})
    sweep = DueDeadlines(
        owner="chat",
        truth=TruthStore(db),
        owners=BusOwners(bus, timeout_seconds=3),
        shards=SHARDS,
        limit=500,
        batch=50,
    )
    leases = LeaseStore(db)
    await leases.prepare(plan.all())
    driver = Driver(
        holder=holder,
        plan=plan,
        sweeps={name: sweep},
        leases=leases,
        runs=NoRuns(),
        meter=NoMeter(),
        clock=SystemClock(),
        spawn=spawner(runner),
        lease_seconds=5,
        report_seconds=5,
    )
    jobs.start(runner, driver, lease_seconds=5)


def spawner(runner: Runner) -> Callable[[Coroutine[Any, Any, None], str], None]:
    """Return what starts a pass."""

    def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
        runner.background(work, name=name)

    return spawn


async def settled(looking: asyncpg.Connection) -> int:
    """Count what is settled."""
    return int(await looking.fetchval("SELECT count(*) FROM chat.alarms WHERE times > 0"))


async def until_settled(looking: asyncpg.Connection, count: int, *, seconds: float) -> None:
    """Wait until as many are settled."""
    async with asyncio.timeout(seconds):
        while (now := await settled(looking)) != count:
            assert now < count
            await asyncio.sleep(0.05)


@pytest.mark.req("SW-04", "SW-05")
async def test_five_hundred_in_one_second(clone: TestDatabase, nats_url: str) -> None:
    """500 deadlines within one second, three sweepers: each once, p99 late by less than 2 s."""
    async with owning(clone, nats_url) as looking, sweepers(3, clone, nats_url):
        await looking.execute(
            """INSERT INTO chat.alarms (due_at)
               SELECT clock_timestamp() + interval '2 s' + n * interval '2 ms'
               FROM generate_series(1, 500) AS n"""
        )
        await until_settled(looking, 500, seconds=15)
        row = await looking.fetchrow(
            """SELECT max(times) AS times, min(settled_at - due_at) >= interval '0' AS in_time,
                      extract(epoch FROM percentile_cont(0.99) WITHIN GROUP
                          (ORDER BY settled_at - due_at))::float8 AS p99
               FROM chat.alarms"""
        )

    assert row is not None
    assert row["times"] == 1
    assert row["in_time"]
    assert row["p99"] < 2.0


@pytest.mark.req("SW-04")
async def test_what_was_due_before_the_start(clone: TestDatabase, nats_url: str) -> None:
    """A hundred overdue rows are done within five seconds of a start."""
    async with owning(clone, nats_url) as looking:
        await looking.execute(
            """INSERT INTO chat.alarms (due_at)
               SELECT clock_timestamp() - interval '1 hour' FROM generate_series(1, 100)"""
        )
        began = time.monotonic()
        async with sweepers(1, clone, nats_url):
            await until_settled(looking, 100, seconds=10)

    assert time.monotonic() - began < 5
