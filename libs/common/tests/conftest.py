"""A migrated database and a bus of its own for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support import Databases, TestDatabase

from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.migrate import migrate
from common.runner import Runner

SERVICE = "auth"


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end, whatever happened."""
    runner = Runner()
    yield runner
    await runner.stop(budget=4)


@pytest.fixture
async def empty_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """A database with roles and schemas and nothing else."""
    database = await databases.empty()
    yield database
    await databases.drop(database)


@pytest.fixture
async def plumbed(empty_database: TestDatabase, tmp_path: Path) -> TestDatabase:
    """A database whose schema auth holds the plumbing tables."""
    await migrate(empty_database.url(f"{SERVICE}_migrate"), service=SERVICE, folder=tmp_path)
    return empty_database


@pytest.fixture
async def db(plumbed: TestDatabase) -> AsyncIterator[Database]:
    """A pool as the application role."""
    database = await Database.connect(plumbed.url(SERVICE), name="test", max_size=5)
    yield database
    await database.close()


@pytest.fixture
async def bus(nats_url: str, runner: Runner) -> Bus:
    """A bus that is up."""
    bus = await Bus.connect(nats_url, name="test", runner=runner)
    assert await bus.until_up(10)
    return bus


@pytest.fixture
def clock() -> SystemClock:
    """The real clock."""
    return SystemClock()
