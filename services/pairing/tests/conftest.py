"""Pairing on real servers, in a database with the migrations of every service."""

from collections.abc import AsyncIterator

import pytest
from services.pairing.tests.site import NOWHERE
from services.pairing.tests.world import World, empty
from tests.support import Databases, TestDatabase

from common import baseline
from common.bus import Bus
from common.runner import Runner

_PATIENT = (
    "PG_CONNECT_TIMEOUT",
    "PG_COMMAND_TIMEOUT",
    "PG_ACQUIRE_TIMEOUT",
    "NATS_CONNECT_TIMEOUT",
    "NATS_WATCHDOG_RTT",
    "PUBLISH_TIMEOUT",
    "CONSUMER_HANDLER_TIMEOUT",
)


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


@pytest.fixture
async def world(shared_database: TestDatabase, runner: Runner, away: Bus) -> AsyncIterator[World]:
    """An empty database with mitras and customers to be made, and pairing's stores."""
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
    for name in _PATIENT:
        monkeypatch.setattr(baseline, name, 20)
