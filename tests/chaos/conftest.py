"""The stacks that the fault tests break, apart from the one the other tests use."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests.chaos.drill import Drill
from tests.chaos.fleet import BEAT_SECONDS, CHAT, PAIRING, Fleet, living
from tests.clocked import ClockedValkey, NoLibrary, find
from tests.e2e.stack import launch

from temani.places import Options
from temani.servers import Nats, Postgres, Valkey

# As short as the settings allow: a mitra is stale after 5.7 s, taken offline after 6.1 s.
HASTY = {
    "HEARTBEAT_SECONDS": str(BEAT_SECONDS),
    "HEARTBEAT_MIRROR_INTERVAL_SECONDS": "0.3",
    "FRESH_LIMIT_SECONDS": "5.7",
    "AUTO_OFFLINE_SECONDS": "6.1",
    "MITRA_AUTO_OFFLINE_SWEEP_SECONDS": "0.5",
    "LEASE_SECONDS": "2",
}

# Processes are killed, the machine is not: what was written is there after a crash.
_QUICK = {"fsync": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
async def drill(scratch: Path) -> AsyncIterator[Drill]:
    """The whole system over data servers that only the test starts and ends."""
    async with running(scratch / "drill", {}) as one:
        yield one


@pytest.fixture(scope="session")
async def hasty(scratch: Path) -> AsyncIterator[Drill]:
    """The same with the shortest limits there may be."""
    home = scratch / "hasty"
    async with running(home, HASTY, await _clocked(home / "valkey")) as one:
        yield one


async def _clocked(folder: Path) -> Valkey:
    """A Valkey whose clock may be turned; if none can be had, the drill that needs it says so."""
    try:
        return ClockedValkey(folder, await asyncio.to_thread(find))
    except NoLibrary:
        return Valkey(folder)


@pytest.fixture(scope="session")
async def fleet(hasty: Drill) -> AsyncIterator[Fleet]:
    """Twelve living mitras: four call, eight only hold a socket open."""
    async with living(hasty.stack, {"http": 4, PAIRING: 4, CHAT: 4}) as one:
        yield one


@contextlib.asynccontextmanager
async def running(
    home: Path, settings: Mapping[str, str], valkey: Valkey | None = None
) -> AsyncIterator[Drill]:
    """Run a stack over servers of its own, with settings beside those of its profile."""
    postgres, nats = Postgres(home / "postgres", settings=_QUICK), Nats(home / "nats")
    valkey = valkey or Valkey(home / "valkey")
    await asyncio.gather(postgres.start(), valkey.start(), nats.start())
    options = Options(
        profile="demo",
        folder=home / "stack",
        any_ports=True,
        postgres_url=postgres.url,
        valkey_url=valkey.url,
        nats_url=nats.url,
    )
    stack = await launch(options, settings)
    one = Drill(stack, postgres, valkey, nats)
    yield one
    await stack.launched.kill()
    # By `one`: a test may have let another server take over.
    await asyncio.gather(one.nats.kill(), one.valkey.kill(), one.postgres.kill())
