"""A database with the sweeper's schema, and a pool as the sweeper has it."""

from collections.abc import AsyncIterator

import pytest
from tests import patience
from tests.support import Databases

from common.db import Database

PATIENT = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no outage of Postgres or Valkey, and nobody looks at the mirror but us."""
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.VALKEY, seconds=PATIENT)
    monkeypatch.setattr("mirror.kit.SECONDS", 3_600.0)


@pytest.fixture
async def sweeper_url(databases: Databases) -> AsyncIterator[str]:
    """Return the address of a fresh database for the role of the sweeper."""
    clone = await databases.fresh("sweeper")
    yield clone.url("sweeper")
    await databases.drop(clone)


@pytest.fixture
async def db(sweeper_url: str) -> AsyncIterator[Database]:
    """Open a pool as the sweeper has it."""
    database = await Database.connect(sweeper_url, name="test")
    yield database
    await database.close()
