"""Servers that the launcher's own tests may change."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from temani.servers import Postgres


@pytest.fixture(scope="session")
async def scratch_postgres(scratch: Path) -> AsyncIterator[Postgres]:
    """A Postgres whose roles and settings no other package's tests rely on."""
    server = Postgres(scratch / "own-postgres", settings={"fsync": "off"})
    await server.start()
    yield server
    await server.stop()
