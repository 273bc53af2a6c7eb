"""A migrated database and a bus of its own for each test that asks."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests import patience
from tests.support import Databases, TestDatabase

from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.migrate import migrate
from common.runner import Runner
from common.testing import Still, clone_database, drop_database, empty

SERVICE = "auth"
_TABLES = ("outbox", "inbox", "dead_letters", "idempotency")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product gives up on within seconds it waits for here: a busy machine is no fault."""
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.NATS, "NATS_PING_INTERVAL")


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end, whatever happened."""
    runner = Runner()
    yield runner
    await runner.stop(budget=4)


@pytest.fixture
async def still() -> AsyncIterator[Runner]:
    """A runner whose rhythms wait to be hurried: what is counted, only the test causes."""
    runner = Still()
    yield runner
    await runner.stop(budget=4)


@pytest.fixture(scope="session")
async def unmigrated(databases: Databases) -> TestDatabase:
    """A database with roles and schemas and nothing else, to be copied."""
    return await databases.empty()


@pytest.fixture
async def empty_database(unmigrated: TestDatabase) -> AsyncIterator[TestDatabase]:
    """A copy of it that a test may migrate."""
    url = await clone_database(unmigrated.admin_url, unmigrated.name)
    yield TestDatabase(url.rpartition("/")[2], url)
    await drop_database(url)


@pytest.fixture(scope="session")
async def plumbing(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[TestDatabase, asyncpg.Connection]]:
    """One database whose schema auth holds the plumbing tables, and its administrator."""
    database = await databases.empty()
    folder = tmp_path_factory.mktemp("migrations")
    await migrate(database.url(f"{SERVICE}_migrate"), service=SERVICE, folder=folder)
    async with database.admin() as admin:
        yield database, admin


@pytest.fixture
async def plumbed(plumbing: tuple[TestDatabase, asyncpg.Connection]) -> TestDatabase:
    """The database with the plumbing tables, all of them empty."""
    database, admin = plumbing
    await empty(admin, *(f"{SERVICE}.{table}" for table in _TABLES))
    return database


@pytest.fixture
async def db(plumbed: TestDatabase, patient: None) -> AsyncIterator[Database]:
    """A pool as the application role."""
    database = await Database.connect(plumbed.url(SERVICE), name="test", max_size=5)
    yield database
    await database.close()


@pytest.fixture
async def bus(nats_url: str, runner: Runner, patient: None) -> Bus:
    """A bus that is up."""
    bus = await Bus.connect(nats_url, name="test", runner=runner)
    assert await bus.until_up(patience.SECONDS)
    return bus


@pytest.fixture
def clock() -> SystemClock:
    """The real clock."""
    return SystemClock()
