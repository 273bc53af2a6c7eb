"""The stack that the fault tests break, apart from the one the other tests use."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chaos.drill import Drill
from tests.e2e.stack import launch

from temani.servers import Nats, Postgres, Valkey


@pytest.fixture(scope="session")
async def drill(scratch: Path) -> AsyncIterator[Drill]:
    """The whole system over data servers that only the test starts and ends."""
    home = scratch / "drill"
    servers = Postgres(home / "postgres"), Valkey(home / "valkey"), Nats(home / "nats")
    postgres, valkey, nats = servers
    for server in servers:
        await server.start()
    stack = await launch(
        home / "stack",
        say=lambda _: None,
        postgres_url=postgres.url,
        valkey_url=valkey.url,
        nats_url=nats.url,
    )
    yield Drill(stack, postgres, valkey, nats)
    await stack.launched.stop()
    for server in reversed(servers):
        await server.stop()
