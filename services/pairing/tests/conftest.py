"""Pairing on real servers, in a database with the migrations of every service."""

from collections.abc import AsyncIterator

import pytest
from services.pairing.tests.world import World
from tests.support import TestDatabase

from common import baseline
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


@pytest.fixture
async def world(database: TestDatabase, runner: Runner, nats_url: str) -> AsyncIterator[World]:
    """A database of its own, with mitras and customers to be made, and pairing's stores."""
    made = await World.make(database, runner, nats_url=nats_url)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product gives up on within seconds it waits for here: a busy machine is no fault."""
    for name in _PATIENT:
        monkeypatch.setattr(baseline, name, 20)
