"""Availability on real servers, in a database with neighbours that a test can play with."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import nats
import pytest
import valkey.asyncio as valkey_client
from services.availability.tests.site import Site, running, site_settings
from tests import patience
from tests.support import Databases, TestDatabase

from common import baseline
from common.testing import empty
from mirror import asking, fallback
from mirror.testing import World
from temani.servers import Nats

# What a test writes, and the next one must not find.
WRITTEN = (
    "availability.mitra_status",
    "availability.online_intervals",
    "availability.leases",
    "availability.fences",
    "availability.mirror_drift",
    "availability.mirror_looks",
    "availability.reseeds",
    "availability.dead_letters",
    "availability.outbox",
    "availability.inbox",
    "auth.people",
    "chat.loads",
)


VALKEY = {name: getattr(baseline, name) for name in (*patience.VALKEY, "VALKEY_POOL_TIMEOUT")}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product gives up on within a moment it waits for here: a busy machine is no fault.

    Where Valkey is frozen a test wants `hasty`.
    """
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.NATS, *VALKEY)
    monkeypatch.setattr(fallback, "_PATIENCE", patience.SECONDS)
    monkeypatch.setattr(asking, "_JUMP_MS", patience.SECONDS * 1000)


@pytest.fixture
def hasty(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects to Valkey waits for it as briefly as a service does."""
    for name, seconds in VALKEY.items():
        monkeypatch.setattr(baseline, name, seconds)


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it when Valkey is well again: whoever connects from then on waits for it patiently."""

    def be_calm() -> None:
        patience.stretch(monkeypatch, *VALKEY)

    return be_calm


@pytest.fixture(scope="session")
async def own_nats(scratch: Path) -> AsyncIterator[Nats]:
    """A NATS of our own: durable consumers must not hear what other services' tests say."""
    server = Nats(scratch / "nats-availability")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def nats_url(own_nats: Nats) -> str:
    """Its address; whatever the test before said and nobody heard to its end is gone."""
    client = await nats.connect(own_nats.url)
    streams = client.jetstream()
    for stream in await streams.streams_info():
        await streams.purge_stream(str(stream.config.name))
    await client.close()
    return own_nats.url


@pytest.fixture(scope="session")
async def stage_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """One database for all tests of availability; each test empties its tables."""
    database = await databases.fresh("availability")
    async with database.admin() as admin:
        await World.create(admin)
    yield database
    await databases.drop(database)


@pytest.fixture
async def stage(stage_database: TestDatabase, valkey_url: str) -> TestDatabase:
    """Empty tables and an empty Valkey."""
    admin = await asyncpg.connect(stage_database.admin_url)
    await empty(admin, *WRITTEN)
    await admin.execute("DELETE FROM availability.service_versions WHERE version > 1")
    await admin.close()
    raw = valkey_client.Valkey.from_url(valkey_url)
    await raw.flushall()
    await raw.aclose()
    return stage_database


@pytest.fixture
async def site(stage: TestDatabase, valkey_url: str, nats_url: str) -> AsyncIterator[Site]:
    """A replica with everything there."""
    settings = site_settings(stage.url("availability"), valkey_url=valkey_url, nats_url=nats_url)
    async with running(settings, stage.admin_url) as one:
        yield one


@pytest.fixture
async def alone(stage: TestDatabase) -> AsyncIterator[Site]:
    """A replica with neither NATS nor Valkey: everything must work all the same."""
    async with running(site_settings(stage.url("availability")), stage.admin_url) as one:
        yield one
