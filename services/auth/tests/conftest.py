"""Auth on real servers, in a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from services.auth.tests.world import World
from tests.support import Databases, TestDatabase

from common.runner import Runner


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=4)


@pytest.fixture
async def auth_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """A database with auth's migrations only."""
    clone = await databases.fresh("auth")
    yield clone
    await databases.drop(clone)


@pytest.fixture
async def world(auth_database: TestDatabase, runner: Runner, tmp_path: Path) -> World:
    """Auth's handlers on that database, with a clock to turn."""
    return await World.make(auth_database, runner, tmp_path)
