"""Real servers for the tests of every package; each is started once a run, when first wanted."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
import uvloop
from tests.support import Databases, TestDatabase
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from temani.servers import Nats, Postgres, Valkey

# EVENT_LOOP=uvloop make test: the tests too run on the loop that the services run on.
if os.environ.get("EVENT_LOOP") == "uvloop":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

# The longest: the runs with faults, and what shares one running stack.
FAULTS = "tests/chaos/"
ON_THE_STACK = ("tests/e2e/", "tests/contract/test_fuzz.py")
AT_A_DESK = "tests/browser/"
ON_THE_FLEET = tuple(f"tests/chaos/test_{name}.py" for name in ("fence", "recovery", "valkey"))


class ByFile(LoadScopeScheduling):
    """Side by side, a file stays on one worker, and so do all files that share a running stack."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith(ON_THE_STACK):
            return "stack"
        if path.startswith(AT_A_DESK):
            return "desk"
        return "fleet" if path.startswith(ON_THE_FLEET) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Say which tests belong on the same worker when several run side by side."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest first, but not all that computes at once: what waits goes between.

    Nothing long comes late: one worker would go on alone.
    """
    order = (FAULTS, "libs/", (AT_A_DESK, *ON_THE_STACK), "deploy/", "services/", "")
    items.sort(
        key=lambda item: next(n for n, each in enumerate(order) if item.nodeid.startswith(each))
    )


# A test cluster is thrown away, so it need not survive a power cut.
_QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "300",
}


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """What a test logs is a line each, whatever a launcher in this process made of the log.

    structlog's own default prints the locals of every frame, which holds the loop for 0.1 s.
    """
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )


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
    server = Nats(scratch / "nats", sync="2m")
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
