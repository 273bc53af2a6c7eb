"""While Valkey is away Postgres answers, for few at a time: 500 askers must not take it down."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest
from libs.mirror.tests.conftest import LIMITS

from common import baseline
from common.clock import SystemClock
from common.db import Database, Unavailable
from common.ids import new_id
from common.runner import Runner
from common.testing import eventually
from mirror import MirrorKit, open_mirror
from mirror.fallback import AT_ONCE, places
from mirror.testing import World
from mirror.truth import SqlPresence
from mirror.values import Counts

ASKERS = 500
_AWAY = "valkey://127.0.0.1:1"
_FALLBACKS = ("find_available_v1", "is_reachable_v1", "counts_v1")


@dataclass
class Outage:
    """A replica whose Valkey is away, with the pool of a service, and a look behind Postgres."""

    kit: MirrorKit
    db: Database
    admin: asyncpg.Connection
    locker: asyncpg.Connection
    mitras: list[UUID]
    outcomes: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def slow(self) -> AsyncIterator[None]:
        """Keep every fallback waiting for a table, as a Postgres in trouble would."""
        transaction = self.locker.transaction()
        await transaction.start()
        await self.locker.execute("LOCK TABLE availability.mitra_status")
        try:
            yield
        finally:
            await transaction.rollback()

    async def asking_now(self) -> int:
        """Return how many connections are at a fallback question."""
        return int(
            await self.admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                " AND query ~ $1 AND pid <> pg_backend_pid()",
                "|".join(_FALLBACKS),
            )
        )

    def ask(self, number: int) -> Awaitable[object]:
        """Ask something that nobody else asks: no two of these can share an answer."""
        presence = self.kit.presence
        if number % 2:
            return presence.find_available(3, [new_id()])
        return presence.is_reachable([new_id()])

    async def one(self, number: int) -> None:
        """Ask and note what came of it."""
        try:
            await self.ask(number)
        except Unavailable:
            self.outcomes["refused"] += 1
        else:
            self.outcomes["answered"] += 1

    async def other_work(self) -> bool:
        """Return whether somebody who asks nothing of the mirror gets a connection."""
        try:
            async with self.db.connection() as connection:
                return bool(await connection.fetchval("SELECT 1"))
        except Unavailable:
            return False


@pytest.fixture
async def outage(database_url: tuple[str, str]) -> AsyncIterator[Outage]:
    """A replica that has never seen a Valkey, with three mitras who are there."""
    admin, locker = [await asyncpg.connect(database_url[1]) for _ in range(2)]
    await admin.execute(
        "TRUNCATE availability.mitra_status, availability.online_intervals, auth.people, chat.loads"
    )
    world = World(admin)
    mitras = [await world.mitra() for _ in range(3)]
    runner = Runner()
    db = await Database.connect(database_url[0], name="outage", max_size=baseline.PG_MAX_SIZE)
    kit = await open_mirror(_AWAY, db, runner, SystemClock(), LIMITS)
    yield Outage(kit, db, admin, locker, mitras)
    await runner.stop(budget=2)
    await db.close()
    await locker.close()
    await admin.close()


@pytest.mark.req("AV-12")
async def test_five_hundred_askers_are_a_handful_of_questions(outage: Outage) -> None:
    """Postgres hangs, 500 ask, mitras beat: at most 8 questions are with it at once.

    The others are refused soon, and whoever does something else still gets a connection.
    """
    async with outage.slow():
        askers = [asyncio.ensure_future(outage.one(number)) for number in range(ASKERS)]
        beats = [asyncio.ensure_future(outage.kit.beats.beat(one)) for one in outage.mitras * 100]
        await eventually(lambda: _at_least(outage.asking_now, 1))
        seen = 0
        through = places(baseline.PG_MAX_SIZE)
        while outage.outcomes["refused"] < ASKERS - through:
            seen = max(seen, await outage.asking_now())
            beats.append(asyncio.ensure_future(outage.kit.beats.beat(outage.mitras[0])))
            assert await outage.other_work(), "the pool is starved"
        assert 1 <= seen <= through <= AT_ONCE
    await asyncio.gather(*askers)
    await asyncio.gather(*beats, return_exceptions=True)

    assert outage.outcomes["answered"] >= 1
    assert sum(outage.outcomes.values()) == ASKERS
    # And afterwards all is as before.
    assert set(await outage.kit.presence.find_available(3)) == set(outage.mitras)


@pytest.mark.parametrize(("pool", "questions"), [(2, 1), (5, 1), (10, 6), (50, 8)])
def test_a_small_pool_is_not_given_to_questions(pool: int, questions: int) -> None:
    """Beats and everybody else keep their connections; more than 8 never ask at once."""
    assert places(pool) == questions


@pytest.mark.req("AV-12")
async def test_equal_questions_are_one_statement(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 who want the numbers are one statement, and so are those who come just after."""
    asked = Counter[str]()
    counts, find = SqlPresence.counts, SqlPresence.find_available

    async def counted(self: SqlPresence) -> Counts:
        asked["counts"] += 1
        return await counts(self)

    async def found(self: SqlPresence, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        asked["find"] += 1
        return await find(self, limit, exclude)

    monkeypatch.setattr(SqlPresence, "counts", counted)
    monkeypatch.setattr(SqlPresence, "find_available", found)
    presence = outage.kit.presence
    numbers = await asyncio.gather(*(presence.counts() for _ in range(ASKERS)))
    again = await presence.counts()
    lists = await asyncio.gather(*(presence.find_available(3) for _ in range(ASKERS)))

    assert {*numbers, again} == {Counts(3, 3, 3, source="postgres")}
    assert all(set(whom) == set(outage.mitras) for whom in lists)
    assert asked == {"counts": 1, "find": 1}


async def _at_least(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted
