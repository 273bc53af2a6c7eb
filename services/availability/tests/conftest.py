"""Availability on real servers, in a database with neighbours that a test can play with."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import valkey.asyncio as valkey_client
from services.availability.tests.site import Site, running, site_settings
from tests.support import Databases, TestDatabase

from mirror.testing import World, empty
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


@pytest.fixture(scope="session")
async def nats_url(scratch: Path) -> AsyncIterator[str]:
    """A NATS of our own: durable consumers must not hear what other services' tests say."""
    server = Nats(scratch / "nats-availability")
    await server.start()
    yield server.url
    await server.stop()


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
