"""The rows behind the revoked keys in Valkey."""

from collections.abc import Sequence
from uuid import UUID

from auth.store.base import QUERIES
from common.db import Database


class PgRevoked:
    """Which logins were revoked lately, and which of them Valkey knows."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def untold(self, *, seconds: float, limit: int) -> list[UUID]:
        """List logins revoked within `seconds` that Valkey has not been told of."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["untold"], seconds, limit)
        return [row["login_id"] for row in rows]

    async def revoked(self, *, seconds: float) -> list[UUID]:
        """List all logins revoked within `seconds`."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["revoked_lately"], seconds)
        return [row["login_id"] for row in rows]

    async def told(self, login_ids: Sequence[UUID]) -> None:
        """Valkey knows of these."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["told"], list(login_ids))
