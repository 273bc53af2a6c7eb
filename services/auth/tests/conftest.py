"""Auth on real servers, in a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from services.auth.tests.site import Provider, Site, provider, running, site_settings
from services.auth.tests.world import World
from tests import patience
from tests.support import Databases, TestDatabase

from auth.providers import passwords, revocation
from common.runner import Runner
from common.testing import empty, tables_of

_MEMORY_KIB = passwords.MEMORY_KIB


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product gives up on within seconds it waits for here: a busy machine is no fault."""
    limits = (*patience.POSTGRES, *patience.NATS, *patience.VALKEY, "VALKEY_POOL_TIMEOUT")
    patience.stretch(monkeypatch, *limits)
    monkeypatch.setattr(revocation, "ANSWER_SECONDS", patience.SECONDS)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed as they are, only that each takes a thousandth of the time."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)


@pytest.fixture
def dear_hashes(monkeypatch: pytest.MonkeyPatch, cheap_hashes: None) -> None:
    """Hashes that cost what they cost in production."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", _MEMORY_KIB)


@pytest.fixture(scope="session")
async def emptied_database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """A database with auth's migrations, which every test finds empty."""
    clone = await databases.fresh("auth")
    async with clone.admin() as admin:
        # Twenty at once queue for one row: the last of them may wait, on a busy machine.
        for limit in ("lock_timeout", "statement_timeout", "transaction_timeout"):
            await admin.execute(f"ALTER ROLE auth IN DATABASE {clone.name} SET {limit} = '20s'")
    yield clone
    await databases.drop(clone)


@pytest.fixture
async def auth_database(emptied_database: TestDatabase) -> TestDatabase:
    """That database, emptied: some milliseconds instead of a clone's half second."""
    async with emptied_database.admin() as admin:
        await empty(admin, *await tables_of(admin, "auth", keep=("schema_migrations",)))
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


@pytest.fixture
async def impatient(
    auth_database: TestDatabase, tmp_path: Path, played: Provider
) -> AsyncIterator[Site]:
    """The same, that waits a second only for its provider."""
    settings = site_settings(auth_database, tmp_path, played, otp_provider_timeout_seconds=1)
    async with running(settings, played) as one:
        yield one
