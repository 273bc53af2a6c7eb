"""The service plan in a reader's hands: right at each change, and while Postgres is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.support import Databases

from common.db import Database
from common.testing.clock import FakeClock
from common.testing.proxy import Proxy
from mirror.plan import OPEN, Service, ServicePlan, Stretch, service_at

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.mark.req("AV-16")
def test_a_plan_is_read_at_each_moment() -> None:
    """The stretch that has begun counts; the next opening or closing is named, not the next row."""
    plan = (
        Stretch(NOON, is_open=False, why="switch", note="new database"),
        Stretch(NOON + HOUR, is_open=False, why="hours"),
        Stretch(NOON + 2 * HOUR, is_open=True),
        Stretch(NOON + 3 * HOUR, is_open=False, why="hours"),
    )
    opens, closes = NOON + 2 * HOUR, NOON + 3 * HOUR

    switched = Service(is_open=False, why="switch", note="new database", opens_at=opens)
    assert service_at(plan, NOON - HOUR) == switched
    assert service_at(plan, NOON) == switched
    assert service_at(plan, NOON + HOUR - SECOND) == switched
    assert service_at(plan, NOON + HOUR) == Service(is_open=False, why="hours", opens_at=opens)
    assert service_at(plan, opens - SECOND).is_open is False
    assert service_at(plan, opens) == Service(is_open=True, closes_at=closes)
    assert service_at(plan, closes) == Service(is_open=False, why="hours")


@dataclass
class Reader:
    """A plan over a line to Postgres that can be cut, and the superuser beside it."""

    plan: ServicePlan
    clock: FakeClock
    line: Proxy
    admin: asyncpg.Connection

    async def switch_on(self, *, seconds: float | None = None) -> None:
        """Turn the switch, as availability would."""
        await self.admin.execute(
            "INSERT INTO availability.service_versions (version, time_zone, weekly, exceptions,"
            " maintenance_on, maintenance_until, what, changed_by)"
            " SELECT max(version) + 1, 'UTC', '[]', '[]', true,"
            " clock_timestamp() + make_interval(secs => $1), 'maintenance', gen_random_uuid()"
            " FROM availability.service_versions",
            seconds,
        )


@pytest.fixture
async def reader(databases: Databases) -> AsyncIterator[Reader]:
    """A reader in a database of its own, as pairing reads."""
    database = await databases.fresh("availability")
    url = urlsplit(database.url("pairing"))
    assert url.port is not None
    async with Proxy(url.port) as line, database.admin() as admin:
        cut = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{line.port}"))
        db = await Database.connect(urlunsplit(cut), name="plan-test", min_size=0, max_size=1)
        clock = FakeClock()
        yield Reader(ServicePlan(db, clock=clock), clock, line, admin)
        await db.close()
    await databases.drop(database)


@pytest.mark.req("AV-16")
async def test_before_the_first_reading_the_service_counts_as_open(reader: Reader) -> None:
    """Nobody is turned away by a replica that does not know; Postgres decides about requests."""
    assert reader.plan.now() == OPEN
    reader.line.refuse()
    assert not await reader.plan.refresh()
    assert reader.plan.now() == OPEN


@pytest.mark.req("AV-16")
async def test_a_reading_says_whether_it_is_news(reader: Reader) -> None:
    """The first one, and each that says something else; the same again is none."""
    assert await reader.plan.refresh()
    assert not await reader.plan.refresh()
    await reader.switch_on()
    assert await reader.plan.refresh()
    assert not await reader.plan.refresh()
    assert reader.plan.now() == Service(is_open=False, why="switch")


@pytest.mark.req("AV-16")
async def test_the_plan_outlives_postgres_and_goes_on_by_itself(reader: Reader) -> None:
    """Closed until its hour, then open: nobody asked Postgres and nobody did anything."""
    await reader.switch_on(seconds=60)
    await reader.plan.refresh()
    reader.line.refuse()
    assert not await reader.plan.refresh()

    # It was read a while after it was made, however short.
    reader.clock.advance(20)
    assert not reader.plan.now().is_open
    reader.clock.advance(40)
    assert reader.plan.now() == OPEN


@pytest.mark.req("AV-16")
async def test_a_wrong_clock_of_ours_opens_and_closes_nothing(reader: Reader) -> None:
    """The plan is on the clock of Postgres; only the time that passes is measured here."""
    await reader.switch_on(seconds=60)
    await reader.plan.refresh()
    for minutes in (10, -20):
        reader.clock.skew(timedelta(minutes=minutes))
        assert not reader.plan.now().is_open
    opens_at = reader.plan.now().opens_at
    now = await reader.admin.fetchval("SELECT clock_timestamp()")
    assert opens_at is not None
    assert timedelta(seconds=20) < opens_at - now <= timedelta(seconds=60)


class TwoAnswers:
    """A database whose first answer, "open", is late; the next one, "closed", is at once there."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["TwoAnswers"]:
        """Lend itself."""
        yield self

    async def fetch(self, _query: str) -> list[dict[str, object]]:
        """Answer in turn."""
        self.asked += 1
        if self.asked > 1:
            return [{"starts_at": NOON, "is_open": False, "why": "switch", "note": None}]
        await self.go_on.wait()
        return [{"starts_at": NOON, "is_open": True, "why": None, "note": None}]


@pytest.mark.req("AV-16")
async def test_an_answer_from_before_never_replaces_one_from_behind_a_change() -> None:
    """A reading that hung on the way ends before the next begins."""
    db = TwoAnswers()
    plan = ServicePlan(cast("Database", db), clock=FakeClock())
    early, late = (asyncio.ensure_future(plan.refresh()) for _ in range(2))
    while not db.asked:
        await asyncio.sleep(0)
    db.go_on.set()
    await asyncio.gather(early, late)

    assert not plan.now().is_open
