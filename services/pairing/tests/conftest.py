"""Pairing on real servers, in a database with the migrations of every service."""

from collections.abc import AsyncIterator

import pytest
from services.pairing.tests.world import World
from tests.support import TestDatabase

from common import baseline
from common.runner import Runner


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=4)


@pytest.fixture
async def world(database: TestDatabase, runner: Runner, nats_url: str) -> AsyncIterator[World]:
    """A database of its own, with mitras and customers to be made, and pairing's stores."""
    made = await World.make(database, runner, nats_url=nats_url)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def patient_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Races ask for many connections at once, beside other tests that keep the machine busy."""
    monkeypatch.setattr(baseline, "PG_ACQUIRE_TIMEOUT", 5.0)
