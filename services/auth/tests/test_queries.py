"""Every named query, prepared against the migrated schema as the service's own role."""

import pytest
from tests.support import TestDatabase

from auth.store.base import QUERIES


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_query_is_understood(emptied_database: TestDatabase, name: str) -> None:
    """A misspelt column fails here with its name."""
    async with emptied_database.connect("auth") as connection:
        await connection.prepare(QUERIES[name])
