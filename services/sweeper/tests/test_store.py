"""Promises of the sweeper's own tables."""

import json

import pytest
from services.sweeper.tests.fakes import turn
from tests.hearing import NOWHERE
from tests.support import Databases

from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.outbox import Outbox
from common.runner import Runner
from sweeper.domain import Shard, Swept
from sweeper.store import QUERIES, LeaseStore, RunStore


async def run_store(db: Database, runner: Runner, *, keep_seconds: float = 60) -> RunStore:
    """Wire the runs; the bus is away."""
    bus = await Bus.connect(NOWHERE, name="test", runner=runner)
    clock = SystemClock()
    outbox = Outbox(service="sweeper", db=db, bus=bus, runner=runner, clock=clock)
    return RunStore(db, outbox=outbox, clock=clock, keep_seconds=keep_seconds)


async def test_a_notable_run_is_kept_and_told(db: Database) -> None:
    """A run and its event are written in one transaction, with the bus away."""
    runner = Runner()
    try:
        runs = await run_store(db, runner)
        await runs.record(turn(fence=3, slot=4), Swept(count=5), holder="a", took_ms=6)
        async with db.connection() as connection:
            (row,) = await connection.fetch("SELECT fence, slot, count, took_ms FROM runs")
            body = json.loads(await connection.fetchval("SELECT body FROM outbox"))
    finally:
        await runner.stop()

    assert tuple(row) == (3, 4, 5, 6)
    assert (body["sweep"], body["count"], body["skipped"]) == ("sweep", 5, None)


@pytest.mark.req("SW-08")
async def test_old_runs_go(db: Database) -> None:
    """Runs past their keeping time are deleted, newer ones stay."""
    runner = Runner()
    try:
        runs = await run_store(db, runner)
        for count in (1, 2):
            await runs.record(turn(), Swept(count=count), holder="a", took_ms=0)
        async with db.connection() as connection:
            await connection.execute(
                "UPDATE runs SET finished_at = finished_at - interval '1 hour' WHERE count = 1"
            )
        pruned = await runs.prune()
        async with db.connection() as connection:
            left = await connection.fetch("SELECT count FROM runs")
    finally:
        await runner.stop()

    assert pruned == 1
    assert [row["count"] for row in left] == [2]


async def test_the_leases_can_be_looked_at(db: Database) -> None:
    """The list of leases names the holder of each shard."""
    leases = LeaseStore(db)
    await leases.prepare([Shard("a", 0), Shard("b", 0)])
    await leases.take("me", [Shard("a", 0)], seconds=3600, wanted=1)
    rows = await leases.all()

    assert [(row["sweep"], row["holder"], row["held"]) for row in rows] == [
        ("a", "me", True),
        ("b", None, False),
    ]


async def test_every_query_fits_the_schema(databases: Databases) -> None:
    """Each named query can be prepared against the migrated schema of all services."""
    clone = await databases.fresh()
    async with clone.connect("sweeper") as connection:
        for text in QUERIES.values():
            await connection.prepare(text)
    await databases.drop(clone)
