"""Promises about deadlines, over a real Postgres and a real bus, with a simple owner."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import BaseModel
from services.sweeper.tests.fakes import NoMeter, NoRuns, mine, turn
from tests.support import Databases, TestDatabase

from common.bus import Bus, BusUnavailable
from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing.bounds import in_time
from common.testing.waiting import eventually
from sweeper import jobs
from sweeper.domain import Plan, due_sweep
from sweeper.handlers.driving import Driver
from sweeper.handlers.sweeps import DueDeadlines
from sweeper.providers.owners import BusOwners, Settled, SettleDue
from sweeper.settings import Settings
from sweeper.store import LeaseStore, TruthStore

COMMAND = "cmd.chat.settle_due.v1"
SHARDS: int = Settings.model_fields["due_shards"].default
# Whoever is slow is not gone, though it is looked for each second.
LEASE_SECONDS = PATIENT = 60.0
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
SOON = """
INSERT INTO chat.alarms (due_at)
SELECT clock_timestamp() + interval '2 s' + n * interval '1 s' / $1 FROM generate_series(1, $1) AS n
"""
LATENESS = """
SELECT max(times) AS times, extract(epoch FROM min(settled_at - due_at))::float8 AS least,
       extract(epoch FROM percentile_cont(0.99)
           WITHIN GROUP (ORDER BY settled_at - due_at))::float8 AS p99
FROM chat.alarms
"""
OVERDUE = """
INSERT INTO chat.alarms (due_at)
SELECT clock_timestamp() - interval '1 hour' FROM generate_series(1, $1)
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
    """Settles alarms as real owners do: one guarded statement a row; counts who is asked for."""

    admin: asyncpg.Connection
    looking: asyncpg.Connection
    asked: Counter[UUID] = field(default_factory=Counter)

    async def settle(self, body: bytes, _headers: object) -> BaseModel:
        """Answer the command."""
        command = SettleDue.model_validate_json(body)
        count = 0
        for item in command.items:
            self.asked[item.id] += 1
            answer = await self.admin.execute(SETTLE, item.id)
            count += int(answer.split()[-1])
        return Settled(settled=count)


@asynccontextmanager
async def owning(clone: TestDatabase, nats_url: str) -> AsyncIterator[Owner]:
    """Run the owner."""
    runner = Runner()
    async with clone.admin() as admin, clone.admin() as looking:
        bus = await Bus.connect(nats_url, name="owner", runner=runner)
        gate = asyncio.Lock()
        owner = Owner(admin, looking)

        async def settle(body: bytes, headers: object) -> BaseModel:
            async with gate:
                return await owner.settle(body, headers)

        bus.serve(COMMAND, queue="chat", handler=settle)
        try:
            await eventually(lambda: _answers(bus), timeout=PATIENT)
            yield owner
        finally:
            await runner.stop()


async def _answers(bus: Bus) -> bool:
    with contextlib.suppress(BusUnavailable):
        await bus.request(COMMAND, SettleDue(items=[]), timeout=PATIENT)
        return True
    return False


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


def default(setting: str) -> Any:
    """Return what a service runs with unless it is told otherwise."""
    return Settings.model_fields[setting].default


def sweep_of(db: Database, bus: Bus) -> DueDeadlines:
    """Wire the sweep of the alarms."""
    return DueDeadlines(
        owner="chat",
        truth=TruthStore(db),
        owners=BusOwners(bus, timeout_seconds=PATIENT),
        shards=SHARDS,
        limit=default("due_batch"),
        batch=default("settle_batch"),
    )


async def start(holder: str, clone: TestDatabase, nats_url: str, runner: Runner) -> None:
    """Start one sweeper."""
    db = await Database.connect(clone.url("sweeper"), name=holder)
    runner.on_stop(db.close)
    bus = await Bus.connect(nats_url, name=holder, runner=runner)
    name = due_sweep("chat")
    plan = Plan(cadences={name: default("due_sweep_seconds")}, shards={name: SHARDS})
    leases = LeaseStore(db)
    await leases.prepare(plan.all())
    driver = Driver(
        holder=holder,
        plan=plan,
        sweeps={name: sweep_of(db, bus)},
        leases=leases,
        runs=NoRuns(),
        meter=NoMeter(),
        clock=SystemClock(),
        spawn=spawner(runner),
        lease_seconds=LEASE_SECONDS,
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


async def until_settled(looking: asyncpg.Connection, count: int) -> None:
    """Wait until as many are settled."""
    async with asyncio.timeout(PATIENT):
        while (now := await settled(looking)) != count:
            assert now < count
            await asyncio.sleep(0.05)


@pytest.mark.req("SW-04", "SW-05")
async def test_five_hundred_in_one_second(clone: TestDatabase, nats_url: str) -> None:
    """500 deadlines in one second, three sweepers: once each, none early, p99 late by < 2 s."""
    async with owning(clone, nats_url) as owner, sweepers(3, clone, nats_url):

        async def attempt() -> None:
            owner.asked.clear()
            await owner.looking.execute("DELETE FROM chat.alarms")
            await owner.looking.execute(SOON, 500)
            await until_settled(owner.looking, 500)
            row = await owner.looking.fetchrow(LATENESS)
            assert row is not None
            assert row["times"] == 1
            assert row["least"] >= 0
            assert len(owner.asked) == owner.asked.total() == 500
            if row["p99"] >= 2:
                raise TimeoutError

        await in_time(attempt)


@pytest.mark.req("SW-04")
async def test_the_next_round_settles_all_that_is_due(clone: TestDatabase, nats_url: str) -> None:
    """Nothing of 500 is left for the round after it, so none is late by more than one and a bit."""
    runner = Runner()
    async with owning(clone, nats_url) as owner:
        await owner.looking.execute(OVERDUE, 500)
        db = await Database.connect(clone.url("sweeper"), name="one")
        runner.on_stop(db.close)
        bus = await Bus.connect(nats_url, name="one", runner=runner)
        assert await bus.until_up(PATIENT)
        sweep = sweep_of(db, bus)
        swept = [await sweep(turn(shard=shard), mine) for shard in range(SHARDS)]
        await runner.stop()

    assert sum(one.count for one in swept) == 500
    assert default("due_sweep_seconds") <= 0.5


@pytest.mark.req("SW-04")
async def test_what_was_due_before_the_start(clone: TestDatabase, nats_url: str) -> None:
    """A hundred overdue rows are done by whoever starts."""
    async with owning(clone, nats_url) as owner:
        await owner.looking.execute(OVERDUE, 100)
        async with sweepers(1, clone, nats_url):
            await until_settled(owner.looking, 100)
