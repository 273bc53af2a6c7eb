"""The database as a superuser sees it: the oracle trusts nobody's own words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from common.db import Queries

QUERIES = Queries.load(Path(__file__).with_name("queries.sql"))


class Truth:
    """Reads rows by the name of the question."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def rows(self, question: str, *arguments: object) -> list[asyncpg.Record]:
        """Return every row of a named question."""
        return await self._connection.fetch(QUERIES[question], *arguments)


@asynccontextmanager
async def open_truth(admin_dsn: str) -> AsyncIterator[Truth]:
    """Connect as the superuser, in one snapshot, so that all answers are of one moment."""
    connection = await asyncpg.connect(admin_dsn, timeout=5, command_timeout=60)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Truth(connection)
    finally:
        await connection.close(timeout=5)
