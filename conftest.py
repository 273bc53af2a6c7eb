"""Real servers for the tests of every package; each is started once a run, when first wanted."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support import Databases, TestDatabase

from temani.servers import Nats, Postgres, Valkey

# Tests that share a whole running stack stay together on one worker, and start first: they are
# the longest. Everything else stays together by file, which shares databases.
STACKS = ("drill", "stack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests belong on the same worker when several run side by side."""

    def group(item: pytest.Item) -> str:
        wanted = getattr(item, "fixturenames", ())
        return next((name for name in STACKS if name in wanted), item.path.as_posix())

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: group(item) not in STACKS)


# A test cluster is thrown away, so it need not survive a power cut.
_QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A short folder that servers of any user may enter; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="temani-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres(scratch: Path) -> AsyncIterator[Postgres]:
    """PostgreSQL; `postgres.url` is the superuser's address."""
    server = Postgres(scratch / "postgres", settings=_QUICK)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def valkey(scratch: Path) -> AsyncIterator[Valkey]:
    """Valkey with cluster mode on; `valkey.url` is its address."""
    server = Valkey(scratch / "valkey")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def nats(scratch: Path) -> AsyncIterator[Nats]:
    """NATS with JetStream; `nats.url` is its address."""
    server = Nats(scratch / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def valkey_url(valkey: Valkey) -> str:
    """The address of the run's Valkey."""
    return valkey.url


@pytest.fixture(scope="session")
def nats_url(nats: Nats) -> str:
    """The address of the run's NATS."""
    return nats.url


@pytest.fixture(scope="session")
def postgres_admin_url(postgres: Postgres) -> str:
    """The superuser's address of the run's Postgres."""
    return postgres.url


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """Hands out databases: `await databases.fresh("pairing", "chat")`."""
    return Databases(postgres)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """A fresh database with every service migrated; `database.url("pairing")` is an address."""
    clone = await databases.fresh()
    yield clone
    await databases.drop(clone)
