"""While Valkey is away Postgres answers, for few at a time: 500 askers must not take it down."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import asyncpg
import pytest
from libs.mirror.tests.conftest import LIMITS
from libs.mirror.tests.stage import WRITTEN

from common import baseline
from common.clock import SystemClock
from common.db import Database, Unavailable
from common.ids import new_id
from common.runner import Runner
from common.testing import empty, eventually
from mirror import (
    Histogram,
    MirrorKit,
    MirrorUnavailable,
    MitraStatus,
    Presence,
    Reachability,
    fallback,
    open_mirror,
)
from mirror.fallback import AT_ONCE, Bulkhead, WithFallback, places
from mirror.testing import World
from mirror.truth import SqlPresence
from mirror.values import Counts

ASKERS = 500
# As services have it: whoever cannot get through hears so soon.
PATIENCE, ACQUIRE = fallback._PATIENCE, baseline.PG_ACQUIRE_TIMEOUT
_AWAY = "valkey://127.0.0.1:1"
# Postgres gives nobody up while the test holds it: whoever got through stays until it is let go.
_STEADY = "lock_timeout=90s&statement_timeout=90s&transaction_timeout=90s"
_FALLBACKS = ("find_available_v1", "is_reachable_v1", "counts_v1", "mirror_rows_of_v1")


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
        """Return how many connections wait for the table with a fallback question.

        Who only prepares one is active as well, for a moment, and then for another moment not.
        """
        return int(
            await self.admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND query ~ $1 AND pid <> pg_backend_pid() AND datname = current_database()",
                "|".join(_FALLBACKS),
            )
        )

    def ask(self, number: int) -> Awaitable[object]:
        """Ask something that nobody else asks: no two of these can share an answer."""
        presence = self.kit.presence
        if number % 3 == 0:
            return presence.find_available(3, [new_id()])
        if number % 3 == 1:
            return presence.is_reachable([new_id()])
        return presence.status(new_id())

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
    await empty(admin, *WRITTEN)
    world = World(admin)
    mitras = [await world.mitra() for _ in range(3)]
    runner = Runner()
    # All connections are there from the start: what is missing was taken, and is not on its way.
    db = await Database.connect(
        f"{database_url[0]}?{_STEADY}", name="outage", min_size=baseline.PG_MAX_SIZE
    )
    kit = await open_mirror(_AWAY, db, runner, SystemClock(), LIMITS)
    yield Outage(kit, db, admin, locker, mitras)
    await runner.stop(budget=2)
    await db.close()
    await locker.close()
    await admin.close()


@pytest.mark.req("AV-07")
async def test_five_hundred_askers_are_a_handful_of_questions(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres hangs, 500 ask, mitras beat: at most 8 questions are with it at once.

    The others are refused soon, and whoever does something else still gets a connection.
    """
    through = places(baseline.PG_MAX_SIZE)
    monkeypatch.setattr(fallback, "_PATIENCE", PATIENCE)
    monkeypatch.setattr(baseline, "PG_ACQUIRE_TIMEOUT", ACQUIRE)
    async with outage.slow():
        askers = [asyncio.ensure_future(outage.one(number)) for number in range(ASKERS)]
        beats = [asyncio.ensure_future(outage.kit.beats.beat(one)) for one in outage.mitras * 100]
        await eventually(lambda: _at_least(outage.asking_now, through), timeout=30)
        while outage.outcomes["refused"] < ASKERS - through:
            beats.append(asyncio.ensure_future(outage.kit.beats.beat(outage.mitras[0])))
            assert await outage.other_work(), "the pool is starved"
            assert await outage.asking_now() == through <= AT_ONCE
        assert await outage.other_work(), "the pool is starved"
    await asyncio.gather(*askers)
    await asyncio.gather(*beats)

    assert outage.outcomes == {"answered": through, "refused": ASKERS - through}
    # And afterwards all is as before.
    assert set(await outage.kit.presence.find_available(3)) == set(outage.mitras)


@pytest.mark.parametrize(("pool", "questions"), [(2, 1), (5, 1), (10, 6), (50, 8)])
def test_a_small_pool_is_not_given_to_questions(pool: int, questions: int) -> None:
    """Beats and everybody else keep their connections; more than 8 never ask at once."""
    assert places(pool) == questions


@pytest.mark.req("AV-07")
async def test_equal_questions_are_one_statement(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 who want the numbers are one statement, and so are those who come just after."""
    monkeypatch.setattr(fallback, "_KEEP_COUNTS", 60.0)
    asked = Counter[str]()

    def count(name: str) -> None:
        question = getattr(SqlPresence, name)

        def counted(self: SqlPresence, *args: object) -> Awaitable[object]:
            asked[name] += 1
            answer: Awaitable[object] = question(self, *args)
            return answer

        monkeypatch.setattr(SqlPresence, name, counted)

    for name in ("counts", "find_available", "histogram", "status"):
        count(name)
    presence = outage.kit.presence
    numbers = await asyncio.gather(*(presence.counts() for _ in range(ASKERS)))
    again = await presence.counts()
    lists = await asyncio.gather(*(presence.find_available(3) for _ in range(ASKERS)))
    weights = await asyncio.gather(*(presence.histogram() for _ in range(ASKERS)))
    looks = await asyncio.gather(*(presence.status(outage.mitras[0]) for _ in range(ASKERS)))

    assert {*numbers, again} == {Counts(3, 3, 3, source="postgres")}
    assert all(set(whom) == set(outage.mitras) for whom in lists)
    assert {look.source for look in looks if look} == {"postgres"}
    assert all(one == Histogram({0: 3}, source="postgres") for one in weights)
    assert asked == {"counts": 1, "find_available": 1, "histogram": 1, "status": 1}


async def _at_least(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted


class Broken:
    """A mirror that is away."""

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Fail."""
        raise MirrorUnavailable("away")

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Fail."""
        raise MirrorUnavailable("away")

    async def counts(self) -> Counts:
        """Fail."""
        raise MirrorUnavailable("away")

    async def histogram(self) -> Histogram:
        """Fail."""
        raise MirrorUnavailable("away")

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Fail."""
        raise MirrorUnavailable("away")


class Slow:
    """A Postgres that counts who asks at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.now = self.most = self.asked = 0
        self.go_on = asyncio.Event()

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Wait."""
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        await asyncio.sleep(0)
        self.now -= 1
        return []


class Gone:
    """A Postgres that is away."""

    async def counts(self) -> Counts:
        """Fail."""
        raise Unavailable


def joined(then: object) -> WithFallback:
    """Join a mirror that is away with this Postgres."""
    return WithFallback(
        first=Broken(), then=cast("Presence", then), bulkhead=Bulkhead(clock=SystemClock())
    )


@pytest.mark.req("AV-07")
async def test_the_fallback_cannot_take_postgres_down() -> None:
    """Sixty different questions at once: at most eight in Postgres; sixty equal ones: one."""
    slow = Slow()
    presence = joined(slow)
    different = asyncio.gather(*(presence.find_available(3, [new_id()]) for _ in range(60)))
    await eventually(lambda: slow.now == 8)
    slow.go_on.set()
    await different
    assert (slow.most, slow.asked) == (8, 60)
    slow.asked = 0
    await asyncio.gather(*(presence.find_available(3) for _ in range(60)))

    assert slow.asked == 1


@pytest.mark.req("AV-07")
async def test_with_both_away_the_caller_is_told_to_come_back() -> None:
    """Neither mirror nor Postgres: Unavailable, not a wrong answer."""
    with pytest.raises(Unavailable):
        await joined(Gone()).counts()
