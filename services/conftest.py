"""What the tests of several services begin with."""

from collections.abc import AsyncIterator

import pytest
from tests.hearing import NOWHERE
from tests.support import Databases, TestDatabase

from common.bus import Bus
from common.runner import Runner


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=20)


@pytest.fixture(scope="module")
async def shared_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """One database for a file of tests: emptying it is ten times faster than cloning one."""
    clone = await databases.fresh()
    yield clone
    await databases.drop(clone)


@pytest.fixture(scope="module")
async def away() -> AsyncIterator[Bus]:
    """A bus whose NATS is away: what the stores write, only a replica tells."""
    running = Runner()
    yield await Bus.connect(NOWHERE, name="test", runner=running)
    await running.stop(budget=20)
