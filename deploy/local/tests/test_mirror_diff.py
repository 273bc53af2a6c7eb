"""temani mirror diff on a real Valkey and a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from uuid import UUID

import pytest
import valkey.asyncio as valkey_client
from tests import patience
from tests.support import Databases

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from mirror import Limits, keys, open_mirror
from mirror.testing import World
from temani import running
from temani.main import main

pytestmark = pytest.mark.req("AV-15")


@dataclass(frozen=True)
class Scene:
    """A mitra who is online, in Postgres and in the mirror, and the raw Valkey."""

    mitra: UUID
    raw: valkey_client.Valkey


@pytest.fixture
async def scene(
    databases: Databases, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """A seeded mirror that the command finds."""
    patience.stretch(monkeypatch, *patience.POSTGRES, *patience.VALKEY)
    database, runner = await databases.fresh("availability"), Runner()
    raw = valkey_client.Valkey.from_url(valkey_url)
    await raw.flushall()
    async with database.admin() as admin:
        mitra = await (await World.create(admin)).mitra()
    db = await Database.connect(database.url("sweeper"), name="test", max_size=2)
    kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
    await kit.seeder.reseed("test")
    await runner.stop()
    await db.close()
    environment = {"DATABASE_URL": database.url("sweeper")}
    stack = SimpleNamespace(
        addresses=SimpleNamespace(valkey_url=valkey_url),
        service_environment=lambda _service: environment,
    )
    monkeypatch.setattr(running, "find", lambda: stack)
    yield Scene(mitra, raw)
    await raw.aclose()
    await databases.drop(database)


async def test_a_deaf_mirror_is_compared(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody was heard for a while: what it holds can be right or wrong all the same."""
    for key in (keys.ONLINE, keys.AVAILABLE):
        await scene.raw.zadd(key, {str(scene.mitra): 1}, xx=True)
    right = await asyncio.to_thread(main, ["mirror", "diff"])
    said = capsys.readouterr()
    await scene.raw.hset(keys.LOAD, str(scene.mitra), "3/3")
    wrong = await asyncio.to_thread(main, ["mirror", "diff", "--json"])
    found = json.loads(capsys.readouterr().out)["differences"]

    assert (right, said.out.strip()) == (0, "1 mitras, no difference"), said.err
    assert wrong == 1
    assert {"fact": "load", "mirror": "3/3", "postgres": "0/3", "mitra_id": str(scene.mitra)} in (
        found
    )


async def test_what_is_no_mirror_is_not_compared(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty Valkey differs in everything and says nothing."""
    await scene.raw.flushall()

    assert await asyncio.to_thread(main, ["mirror", "diff"]) == 1
    assert "there is no mirror at" in capsys.readouterr().err
