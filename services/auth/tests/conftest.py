"""Auth on real servers, in a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from services.auth.tests.site import Provider, Site, provider, running, site_settings
from services.auth.tests.world import World
from tests.support import Databases, TestDatabase

from common import baseline
from common.runner import Runner


@pytest.fixture(autouse=True)
def patient_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Races ask for many connections at once, beside other tests that keep the machine busy."""
    monkeypatch.setattr(baseline, "PG_ACQUIRE_TIMEOUT", 5.0)


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=4)


@pytest.fixture(scope="session")
async def emptied_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """A database with auth's migrations, which every test finds empty."""
    clone = await databases.fresh("auth")
    yield clone
    await databases.drop(clone)


@pytest.fixture
async def auth_database(emptied_database: TestDatabase) -> TestDatabase:
    """That database, emptied: some milliseconds instead of a clone's half second."""
    async with emptied_database.admin() as admin:
        # Triggers and foreign keys would object; TRUNCATE takes thirty times as long.
        await admin.execute("SET session_replication_role = replica")
        tables = await admin.fetch(
            "SELECT format('DELETE FROM auth.%I', tablename) AS statement FROM pg_tables"
            " WHERE schemaname = 'auth' AND tablename <> 'schema_migrations'"
        )
        await admin.execute("; ".join(table["statement"] for table in tables))
    return emptied_database


@pytest.fixture
async def world(auth_database: TestDatabase, runner: Runner, tmp_path: Path) -> World:
    """Auth's handlers on that database, with a clock to turn."""
    return await World.make(auth_database, runner, tmp_path)


@pytest.fixture
async def played() -> AsyncIterator[Provider]:
    """A sender of codes."""
    async with provider() as running_provider:
        yield running_provider


@pytest.fixture
async def site(
    auth_database: TestDatabase, tmp_path: Path, played: Provider
) -> AsyncIterator[Site]:
    """A replica with neither NATS nor Valkey: everything must work all the same."""
    settings = site_settings(auth_database, tmp_path, played)
    async with running(settings, played) as one:
        yield one
