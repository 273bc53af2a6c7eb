"""A world of mitras in a real Postgres, and a mirror in a real Valkey with cluster mode on."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import valkey.asyncio as valkey_client
from libs.mirror.tests.stage import WRITTEN, Stage, Through
from tests import patience
from tests.support import Databases

from common import baseline
from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing import Proxy, empty
from mirror import Limits, asking, fallback, open_mirror, seeding
from mirror.testing import World
from temani.servers import Valkey

LIMITS = Limits(heartbeat_seconds=20, fresh_seconds=45, auto_offline_seconds=75)
VALKEY = {name: getattr(baseline, name) for name in patience.VALKEY}
PATIENT = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no outage, and nobody looks at the mirror but the test.

    What a test is about it sets itself; `hasty` is about what becomes of a late answer.
    """
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.VALKEY, seconds=PATIENT)
    monkeypatch.setattr(fallback, "_PATIENCE", PATIENT)
    monkeypatch.setattr(asking, "_JUMP_MS", 10_000)
    monkeypatch.setattr(seeding, "_LEASE_MS", int(PATIENT * 1000))
    monkeypatch.setattr("mirror.kit.SECONDS", 3_600.0)


@pytest.fixture
def hasty(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects to Valkey from here on waits for it as briefly as a service does."""
    for name, seconds in VALKEY.items():
        monkeypatch.setattr(baseline, name, seconds)


@pytest.fixture(scope="session")
async def database_url(databases: Databases) -> AsyncIterator[tuple[str, str]]:
    """One database for all tests of the mirror: (availability's address, the superuser's)."""
    database = await databases.fresh("availability")
    connection = await asyncpg.connect(database.admin_url)
    await World.create(connection)
    await connection.close()
    yield database.url("availability"), database.admin_url
    await databases.drop(database)


@pytest.fixture
async def stage(database_url: tuple[str, str], valkey_url: str) -> AsyncIterator[Stage]:
    """An empty world, an empty Valkey, and a mirror that was seeded from it."""
    admin = await asyncpg.connect(database_url[1])
    await empty(admin, *WRITTEN)
    await admin.execute("UPDATE availability.pg_epoch SET epoch = 1")
    raw = valkey_client.Valkey.from_url(valkey_url)
    await raw.flushall()
    runner = Runner()
    db = await Database.connect(database_url[0], name="mirror-test")
    kit = await open_mirror(valkey_url, db, runner, SystemClock(), LIMITS)
    await kit.seeder.reseed("test")
    yield Stage(World(admin), kit, db, raw, runner, valkey_url, database_url[0])
    await runner.stop()
    await db.close()
    await raw.aclose()
    await admin.close()


@pytest.fixture
async def through(stage: Stage, valkey: Valkey) -> AsyncIterator[Through]:
    """A mirror that reaches Valkey through a wire which the test can cut."""
    runner = Runner()
    async with Proxy(valkey.port) as proxy:
        url = f"valkey://127.0.0.1:{proxy.port}/0"
        kit = await open_mirror(url, stage.db, runner, SystemClock(), Limits())
        yield kit, proxy
        await runner.stop()


@pytest.fixture
def breaker_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once nobody tries any more, nobody does until `close_breaker`: a busy machine is slow."""
    monkeypatch.setattr(baseline, "VALKEY_BREAKER_OPEN", 3_600.0)
