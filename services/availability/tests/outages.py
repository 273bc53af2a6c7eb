"""A real Valkey of our own that a test kills, freezes or empties, and brings back."""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import valkey.asyncio as valkey_client

from common.ids import new_id
from common.testing.waiting import eventually
from temani.servers import Valkey

KINDS = ("killed", "frozen", "emptied")
_FOR_EVER_MS = 600_000


class Outage:
    """One way in which Valkey is no mirror; it lasts until it is over."""

    def __init__(self, kind: str, server: Valkey, admin_url: str) -> None:
        self.kind = kind
        self._server = server
        self._admin_url = admin_url
        self._seeder: UUID | None = None

    async def strike(self) -> None:
        """Kill (SIGKILL), freeze (SIGSTOP) or empty (FLUSHALL) the server."""
        match self.kind:
            case "killed":
                await self._server.kill()
            case "frozen":
                self._server.freeze()
            case _:
                # Somebody who then froze holds the right to seed: it stays empty for a while.
                await eventually(self._takes_the_right)
                async with raw(self._server) as client:
                    await client.flushall()

    async def end(self) -> None:
        """Bring the server back: empty if it was killed, as it was if it was frozen."""
        match self.kind:
            case "killed":
                await self._server.start()
            case "frozen":
                self._server.thaw()
            case _:
                await self._sql("SELECT availability.release_seeding_v1($1)", self._seeder)

    async def _takes_the_right(self) -> bool:
        """Take the right to seed; a replica that is seeding has it until it is done."""
        self._seeder = new_id()
        status = await self._sql(
            "SELECT * FROM availability.take_seeding_v1($1, $2)", self._seeder, _FOR_EVER_MS
        )
        return status == "SELECT 1"

    async def _sql(self, query: str, *args: object) -> str:
        connection = await asyncpg.connect(self._admin_url)
        try:
            return await connection.execute(query, *args)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def raw(server: Valkey) -> AsyncIterator[valkey_client.Valkey]:
    """Open a plain client."""
    client = valkey_client.Valkey.from_url(server.url)
    try:
        yield client
    finally:
        await client.aclose()
