"""The truth under races, on a real Postgres; and every query against the real schema."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from services.availability.tests.site import AWAY
from tests.support import Databases, TestDatabase

from availability.domain import Patience, Stale
from availability.errors import MitraInactive
from availability.store import QUERIES, Leases, Statuses
from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.outbox import Outbox
from common.runner import Runner
from common.testing.waiting import eventually
from mirror.testing import World

PATIENCE = Patience(auto_offline=75, gap=25, grace=65)


class Shelf:
    """A store, and the world it stands in."""

    def __init__(self, db: Database, store: Statuses, world: World) -> None:
        self.db = db
        self.store = store
        self.world = world

    async def count(self, table: str) -> int:
        """Count rows."""
        async with self.db.connection() as connection:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.fixture
async def shelf(stage: TestDatabase) -> AsyncIterator[Shelf]:
    """A store without NATS: events wait in the outbox."""
    runner = Runner()
    db = await Database.connect(stage.url("availability"), name="test")
    bus = await Bus.connect(f"nats://{AWAY}", name="test", runner=runner)
    clock = SystemClock()
    outbox = Outbox(service="availability", db=db, bus=bus, runner=runner, clock=clock)
    store = Statuses(db, outbox=outbox, clock=clock, patience=PATIENCE)
    async with stage.admin() as admin:
        await admin.execute("UPDATE availability.serving SET since = '-infinity', seen_at = now()")
        yield Shelf(db, store, World(admin))
    await runner.stop(budget=20)
    await db.close()


@pytest.mark.req("AU-11")
async def test_a_deactivation_beats_going_online(shelf: Shelf, stage: TestDatabase) -> None:
    """She goes online while she is being deactivated: whatever the order, she ends offline."""
    mitra = await shelf.world.mitra(online=False)
    async with stage.admin() as holder:
        await holder.execute("BEGIN")
        await holder.execute(
            "SELECT 1 FROM availability.mitra_status WHERE mitra_id = $1 FOR UPDATE", mitra
        )
        going = asyncio.create_task(shelf.store.go_online(mitra, login_id=new_id()))
        await _until_waiting(shelf)
        # The directory changes while she waits for the lock: a look before it would be too early.
        await shelf.world.active(mitra, active=False)
        await holder.execute("COMMIT")
        with pytest.raises(MitraInactive):
            await going

    assert await shelf.count("online_intervals") == 0
    assert await shelf.count("outbox") == 0


async def _until_waiting(shelf: Shelf) -> None:
    async def waiting() -> bool:
        async with shelf.db.connection() as connection:
            waits = await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN"
                " ('transactionid', 'tuple')"
            )
        return bool(waits)

    await eventually(waiting)


async def test_many_at_once_make_one_change_each_way(shelf: Shelf) -> None:
    """Ten online and ten offline at once: versions, intervals and events agree."""
    mitra = await shelf.world.mitra(online=False)
    for _ in range(3):
        await asyncio.gather(
            *(shelf.store.go_online(mitra, login_id=new_id()) for _ in range(5)),
            *(shelf.store.go_offline(mitra, reason="self") for _ in range(5)),
        )
    async with shelf.db.connection() as connection:
        row = await connection.fetchrow("SELECT is_online, version FROM mitra_status")
        still_open = await connection.fetchval(
            "SELECT count(*) FROM online_intervals WHERE ended_at IS NULL"
        )
    assert row is not None
    # Each change bumps the version by one, from 1, and writes one event.
    assert row["version"] - 1 == await shelf.count("outbox")
    assert still_open == int(row["is_online"])


async def test_a_repeated_logout_event_counts_once(shelf: Shelf) -> None:
    """The same event after she came back by the same login changes nothing."""
    mitra, login, event = await shelf.world.mitra(online=False), new_id(), new_id()
    await shelf.store.go_online(mitra, login_id=login)
    first = await shelf.store.leave(mitra, login_id=login, event_id=event)
    assert first is not None
    assert first.changed
    await shelf.store.go_online(mitra, login_id=login)
    again = await shelf.store.leave(mitra, login_id=login, event_id=event)
    assert again is None


@pytest.mark.req("SW-01")
async def test_postgres_has_the_last_word_on_staleness(shelf: Shelf) -> None:
    """A beat that only Postgres knows (Valkey was away) keeps her online."""
    fresh = await shelf.world.mitra(beat_age=60)
    stale = await shelf.world.mitra(beat_age=90)
    changes = await shelf.store.mark_stale_offline(
        [Stale(fresh, 2, 0), Stale(stale, 2, 0)], fence=1
    )
    assert [change.mitra_id for change in changes] == [stale]


async def test_a_lease_has_one_holder(shelf: Shelf) -> None:
    """Kept by its holder, refused to others, free when its time is over."""
    leases = Leases(shelf.db)
    one, other = new_id(), new_id()
    assert await leases.hold("test", holder=one, seconds=60)
    assert not await leases.hold("test", holder=other, seconds=60)
    assert await leases.hold("test", holder=one, seconds=0)
    assert await leases.hold("test", holder=other, seconds=60)
    held = await asyncio.gather(
        *(leases.hold("race", holder=new_id(), seconds=60) for _ in range(8))
    )
    assert held.count(True) == 1


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_every_query_fits_the_schema(name: str, databases: Databases) -> None:
    """Each named query can be prepared as availability's role, where all services are migrated."""
    database = await databases.shared()
    async with database.connect("availability") as connection:
        await connection.prepare(QUERIES[name])


@pytest.mark.req("AV-07")
async def test_the_published_functions_work_with_the_real_neighbours(databases: Databases) -> None:
    """With auth's and chat's own functions, for each role that may ask."""
    database = await databases.shared()
    asked = {
        "pairing": (
            "SELECT * FROM availability.find_available_v1(5, ARRAY[$1], 45000)",
            "SELECT * FROM availability.is_reachable_v1(ARRAY[$1], 45000)",
            "SELECT * FROM availability.counts_v1(45000), (SELECT $1::uuid) AS unused",
        ),
        "sweeper": (
            "SELECT * FROM availability.mirror_rows_v1($1, 10)",
            "SELECT * FROM availability.mirror_rows_of_v1(ARRAY[$1])",
            "SELECT * FROM availability.due_v1(10), (SELECT $1::uuid) AS unused",
            "SELECT * FROM availability.take_seeding_v1($1, 1000)",
            "SELECT availability.release_seeding_v1($1)",
        ),
        "chat": (
            "SELECT * FROM availability.record_beats_v1(ARRAY[$1], ARRAY[clock_timestamp()])",
            "SELECT * FROM availability.is_reachable_v1(ARRAY[$1], 45000)",
        ),
    }
    for role, queries in asked.items():
        async with database.connect(role) as connection:
            transaction = connection.transaction()
            await transaction.start()
            for query in queries:
                await connection.fetch(query.replace("$1", "$1::uuid"), new_id())
            await transaction.rollback()
