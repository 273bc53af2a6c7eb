"""Chat on real servers, in a database with the migrations of every service."""

from collections.abc import AsyncIterator

import pytest
from services.chat.tests.world import World, empty
from tests import patience
from tests.support import TestDatabase

from common.bus import Bus
from common.runner import Runner


@pytest.fixture
async def world(shared_database: TestDatabase, runner: Runner, away: Bus) -> AsyncIterator[World]:
    """An empty database with chat's handlers on it; the bus is away."""
    await empty(shared_database)
    made = await World.make(shared_database, runner, bus=away)
    yield made
    await made.close()


@pytest.fixture
async def own_world(database: TestDatabase, runner: Runner, away: Bus) -> AsyncIterator[World]:
    """The same in a database of its own, for tests that change more than rows."""
    made = await World.make(database, runner, bus=away)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product gives up on within seconds it waits for here: a busy machine is no fault."""
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.NATS)
