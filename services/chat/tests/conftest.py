"""Chat on real servers, in a database with the migrations of every service."""

from collections.abc import AsyncIterator

import pytest
from services.chat.tests.world import World
from tests.support import TestDatabase

from common.runner import Runner


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=4)


@pytest.fixture
async def world(database: TestDatabase, runner: Runner) -> AsyncIterator[World]:
    """A database of its own with chat's handlers on it; the bus is away."""
    made = await World.make(database, runner)
    yield made
    await made.close()
