"""The replica as operators see it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from tests import deaf
from tests.hearing import NOWHERE
from tests.support import Databases, TestDatabase

from common.runner import Runner
from mirror.testing import World
from sweeper.app import build
from sweeper.settings import Settings


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[TestDatabase]:
    """Return a database with availability, played neighbours and the sweeper."""
    clone = await databases.fresh("availability", "sweeper")
    yield clone
    await databases.drop(clone)


async def seen(database: TestDatabase, runner: Runner, valkey_url: str) -> dict[str, object]:
    """Start a replica and return what its /statusz says of Valkey."""
    settings = Settings(
        database_url=database.url("sweeper"), valkey_url=valkey_url, nats_url=NOWHERE
    )
    async with TestClient(TestServer(await build(settings, runner))) as client:
        return await deaf.seen(client)


@pytest.mark.req("AV-07", "OP-06")
async def test_operators_see_why_postgres_answers(
    database: TestDatabase, runner: Runner, valkey_url: str
) -> None:
    """Valkey is up only while it is a mirror; else its state and the reason stand there."""
    async with database.admin() as admin:
        mitra = await (await World.create(admin)).mitra()
    await deaf.seed_deaf(database, valkey_url, mitra)
    assert await seen(database, runner, valkey_url) == {"up": False, "detail": deaf.SAYS}
    away = await seen(database, runner, "valkey://127.0.0.1:1")

    assert away["up"] is False
    assert str(away["detail"]).startswith("away: ConnectionRefusedError: ")
