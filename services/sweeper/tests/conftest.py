"""A database with the sweeper's schema, and a pool as the sweeper has it."""

from collections.abc import AsyncIterator

import pytest
from tests.support import Databases

from common.db import Database


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
