"""Promises of the leases: shared, fenced, taken over, and no slot driven twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from services.sweeper.tests.fakes import NoMeter, NoRuns

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from sweeper import jobs
from sweeper.domain import Lease, Plan, Shard, Swept, Turn
from sweeper.handlers.driving import Driver
from sweeper.store import LeaseStore

LEASE_SECONDS = 5.0
# What two questions need on a busy machine is less than a life; no test lasts to a slot's end.
LIFE, SLOT = 3_600.0, 1e9


@dataclass
class Notes:
    """What the replicas of a test did."""

    turns: list[tuple[str, Turn]] = field(default_factory=list)
    told: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, holder: str, turn: Turn) -> None:
        """Note a turn."""
        async with self.told:
            self.turns.append((holder, turn))
            self.told.notify_all()

    async def until(self, seen: Callable[[], bool]) -> None:
        """Wait until the notes say so."""
        async with asyncio.timeout(60), self.told:
            await self.told.wait_for(seen)

    def holders(self) -> set[str]:
        """Return who drove anything."""
        return {holder for holder, _ in self.turns}


@dataclass
class Replica:
    """A running sweeper."""

    holder: str
    driver: Driver
    runner: Runner

    async def die(self) -> None:
        """End without a word, as SIGKILL would: the leases stay."""
        await self.runner.stop()


def plan(*, sweeps: int, cadence: float) -> Plan:
    """Make a plan of as many one-shard sweeps."""
    return Plan(cadences={f"sweep_{n}": cadence for n in range(sweeps)})


def start(holder: str, db: Database, plan_: Plan, notes: Notes) -> Replica:
    """Start a replica that notes its turns and never gives back at its end."""
    runner = Runner()

    async def sweep(turn: Turn, still_mine: Callable[[], bool]) -> Swept:
        await notes.note(holder, turn)
        return Swept()

    def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
        runner.background(work, name=name)

    driver = Driver(
        holder=holder,
        plan=plan_,
        sweeps=dict.fromkeys(plan_.cadences, sweep),
        leases=LeaseStore(db),
        runs=NoRuns(),
        meter=NoMeter(),
        clock=SystemClock(),
        spawn=spawn,
        lease_seconds=LEASE_SECONDS,
        report_seconds=5,
    )
    jobs.start(runner, driver, lease_seconds=LEASE_SECONDS)
    return Replica(holder, driver, runner)


@asynccontextmanager
async def replicas(
    names: list[str], db: Database, plan_: Plan, notes: Notes
) -> AsyncIterator[dict[str, Replica]]:
    """Run some replicas over one database; all are stopped at the end."""
    await LeaseStore(db).prepare(plan_.all())
    running = {name: start(name, db, plan_, notes) for name in names}
    try:
        yield running
    finally:
        for one in running.values():
            await one.runner.stop()


async def taken(
    leases: LeaseStore, shard: Shard, holder: str = "a", seconds: float = LIFE
) -> Lease:
    """Have a holder take one shard."""
    await leases.prepare([shard])
    (lease,) = await leases.take(holder, [shard], seconds=seconds, wanted=1)
    return lease


@pytest.mark.req("SW-05")
async def test_three_share_and_none_fires_a_slot_twice(db: Database) -> None:
    """Three replicas each drive a part, and no slot of any shard is driven twice."""
    notes = Notes()
    async with replicas(["a", "b", "c"], db, plan(sweeps=9, cadence=0.2), notes) as running:
        drivers = [one.driver for one in running.values()]
        await notes.until(lambda: sorted(len(driver.holds()) for driver in drivers) == [3, 3, 3])
        before = len(notes.turns)
        await notes.until(
            lambda: len(notes.turns) >= before + 60 and notes.holders() == {"a", "b", "c"}
        )

    driven = Counter((turn.shard, turn.slot) for _, turn in notes.turns)
    assert [slot for slot, times in driven.items() if times > 1] == []


@pytest.mark.req("SW-05")
async def test_a_dead_holder_is_taken_over(db: Database) -> None:
    """When a replica dies its shards are driven by another."""
    notes = Notes()
    async with replicas(["a"], db, plan(sweeps=3, cadence=0.2), notes) as running:
        await notes.until(lambda: len(notes.turns) >= 3)
        running["a"].driver.stop = _nothing  # type: ignore[method-assign]  # it dies unsaid
        running["b"] = start("b", db, plan(sweeps=3, cadence=0.2), notes)
        await _freeze(running["a"])
        await notes.until(lambda: len({t.shard for h, t in notes.turns if h == "b"}) == 3)


async def _nothing() -> None:
    """Say nothing at the end."""


async def _freeze(replica: Replica) -> None:
    replica.driver._stopping = True
    replica.driver._held.clear()


@pytest.mark.req("SW-05")
async def test_a_frozen_transaction_is_taken_over(db: Database, sweeper_url: str) -> None:
    """A holder frozen inside a transaction on its lease's row blocks nobody for long."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    await taken(leases, shard, "frozen", seconds=0)
    stuck = await asyncpg.connect(sweeper_url)
    await stuck.execute("BEGIN")
    await stuck.execute("SELECT 1 FROM leases WHERE sweep = 'sweep_0' FOR UPDATE")
    notes = Notes()
    try:
        async with replicas(["b"], db, plan(sweeps=1, cadence=0.2), notes):
            await notes.until(lambda: "b" in notes.holders())
    finally:
        stuck.terminate()


@pytest.mark.req("SW-05")
async def test_an_old_fence_can_do_nothing(db: Database) -> None:
    """Who was taken over can neither renew, nor fire, nor release what is no longer his."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    old = await taken(leases, shard, seconds=0)
    new = await taken(leases, shard, "b")
    renewed = await leases.renew("a", [old], seconds=LIFE)
    (asked,) = await leases.fire("a", {old: SLOT})
    await leases.release("a", [old])

    assert new.fence == old.fence + 1
    assert renewed == set()
    assert asked.turn is None
    assert {new} == await leases.renew("b", [new], seconds=LIFE)


@pytest.mark.req("SW-05")
async def test_a_slot_survives_a_change_of_holder(db: Database) -> None:
    """A slot that one holder drove is not driven again by the next."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    first = await taken(leases, shard)
    (once,) = await leases.fire("a", {first: SLOT})
    await leases.release("a", [first])
    second = await taken(leases, shard, "b")
    (again,) = await leases.fire("b", {second: SLOT})

    assert once.turn is not None
    assert again.turn is None
    assert 0 < again.next_in <= SLOT


@pytest.mark.req("SW-06")
async def test_a_longer_cadence_counts_from_now_on(db: Database) -> None:
    """Slots of a longer cadence have lower numbers: the sweep goes on, once in each."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    lease = await taken(leases, shard)
    (before,) = await leases.fire("a", {lease: SLOT / 10})
    (after,) = await leases.fire("a", {lease: SLOT})
    (again,) = await leases.fire("a", {lease: SLOT})

    assert before.turn is not None
    assert after.turn is not None
    assert again.turn is None


@pytest.mark.req("SW-05")
@pytest.mark.parametrize(("ahead", "fires"), [(1, False), (500, True)])
async def test_a_clock_that_went_back_stops_no_sweep(
    db: Database,
    ahead: int,
    fires: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """By minutes: nobody waits until they have come again. By a moment: no slot comes twice."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    lease = await taken(leases, shard)
    await leases.fire("a", {lease: SLOT})
    async with db.connection() as connection:
        await connection.execute("UPDATE leases SET last_fired_slot = last_fired_slot + $1", ahead)
    (asked,) = await leases.fire("a", {lease: SLOT})

    assert (asked.turn is not None) == fires


@pytest.mark.req("SW-05")
async def test_a_late_holder_cannot_fire(db: Database) -> None:
    """A lease that ran out fires nothing, even before anybody else took it."""
    leases, shard = LeaseStore(db), Shard("sweep_0", 0)
    late = await taken(leases, shard, seconds=0)
    (asked,) = await leases.fire("a", {late: SLOT})

    assert asked.turn is None


@pytest.mark.req("SW-05")
async def test_only_so_many_are_taken(db: Database) -> None:
    """A replica takes no more than it wants."""
    leases, shards = LeaseStore(db), [Shard("sweep_0", n) for n in range(6)]
    await leases.prepare(shards)

    assert len(await leases.take("a", shards, seconds=LIFE, wanted=4)) == 4
    assert len(await leases.take("b", shards, seconds=LIFE, wanted=4)) == 2
    assert [await leases.enlist(holder, seconds=LIFE) for holder in "aba"] == [1, 2, 2]
