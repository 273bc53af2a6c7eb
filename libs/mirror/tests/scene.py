"""The servers' side of the state machine: a world, a mirror, and a wire that can be held."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import valkey.asyncio as valkey_client
from libs.mirror.tests.stage import WRITTEN

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing.emptying import empty
from common.testing.proxy import Proxy
from common.testing.waiting import eventually
from mirror import BeatOutcome, Drift, Limits, MirrorUnavailable, keys, open_mirror
from mirror.testing import World
from mirror.truth import Truth
from mirror.values import MirrorRow
from temani.servers import Valkey


class Scene:
    """The servers' side of a run, in a loop of its own: rules are plain functions."""

    def __init__(self, database_url: str, admin_url: str, folder: Path) -> None:
        self.loop = asyncio.Runner()
        # One of its own, because a rule kills it.
        self.server = Valkey(folder, cluster=False)
        self.loop.run(self.open(database_url, admin_url))

    async def open(self, database_url: str, admin_url: str) -> None:
        """Start and connect."""
        await self.server.start()
        self.admin = await asyncpg.connect(admin_url)
        self.world = World(self.admin)
        self.raw = valkey_client.Valkey.from_url(self.server.url)
        self.runner = Runner()
        self.db = await Database.connect(database_url, name="machine", max_size=3)
        self.truth = Truth(self.db)
        # Through a wire that can be held, and looked after only when a rule says so.
        self.proxy = await Proxy(self.server.port).__aenter__()
        url = f"valkey://127.0.0.1:{self.proxy.port}/0"
        self.kit = await open_mirror(url, self.db, self.runner, SystemClock(), Limits())

    async def clean(self) -> None:
        """Begin with an empty world in a new history."""
        self.proxy.heal()
        await self.connected()
        await empty(self.admin, *WRITTEN)
        await self.admin.execute("UPDATE availability.pg_epoch SET epoch = epoch + 1")
        await self.raw.flushall()
        self.dumped.unlink(missing_ok=True)

    @property
    def dumped(self) -> Path:
        """Where the server keeps what it saved."""
        return self.server.folder / "dump.rdb"

    async def restarted(self, *, with_data: bool) -> None:
        """End the server as a crash would and start it anew, empty or as it was last saved."""
        await self.server.kill()
        if not with_data:
            self.dumped.unlink(missing_ok=True)
        await self.raw.connection_pool.disconnect()
        await self.server.start()

    async def close(self) -> None:
        """Let go of everything."""
        await self.runner.stop()
        await self.proxy.__aexit__(None, None, None)
        await self.db.close()
        await self.raw.aclose()
        await self.admin.close()
        await self.server.stop()

    async def connected(self) -> None:
        """Wait until Valkey can be asked again: after failures the door is closed for 2 s."""

        async def asked() -> bool:
            try:
                await self.kit.mirror.learn_clock()
            except MirrorUnavailable:
                return False
            return True

        await eventually(asked, timeout=60)

    async def mended(self) -> None:
        """Make it a mirror, however long that takes."""

        async def is_well() -> bool:
            try:
                return await self.kit.seeder.mend() is None
            except MirrorUnavailable:
                return False

        await eventually(is_well, timeout=60)

    async def compared(self) -> None:
        """Reconcile until all mitras were compared, however long that takes."""

        async def has_turned() -> bool:
            with contextlib.suppress(MirrorUnavailable):
                return (await self.kit.seeder.reconcile()).turned
            return False

        await eventually(has_turned, timeout=60)

    async def drift(self) -> list[Drift]:
        """Return where the mirror is not as Postgres."""
        while True:
            with contextlib.suppress(MirrorUnavailable):
                return await self.kit.seeder.diff()
            await self.connected()

    async def beaten(self, mitras: Iterable[UUID]) -> list[BeatOutcome]:
        """Let these beat at once; return what became of it."""
        return await asyncio.gather(*(self.kit.beats.beat(mitra) for mitra in mitras))

    async def available(self) -> set[UUID]:
        """Return who is available by the truth."""
        return {row.mitra_id for row in await self.rows() if row.is_available}

    async def rows(self) -> list[MirrorRow]:
        """Return the truth of all."""
        return await self.truth.rows_after(UUID(int=0), 100)

    async def scores(self) -> dict[UUID, float]:
        """Return when each beat last whom the mirror holds as online and active."""
        held = await self.raw.zrange(
            keys.ONLINE, 0, f"({keys.BARRED}", byscore=True, withscores=True
        )
        return {UUID(one.decode()): at for one, at in held}

    async def dump(self) -> dict[str, Any]:
        """Return all facts that the mirror holds; times of beats aside."""
        return {
            "online": set(await self.raw.zrange("{mitras}:online", 0, -1)),
            "available": set(await self.raw.zrange("{mitras}:available", 0, -1)),
            "deactivated": set(await self.raw.smembers("{mitras}:deactivated")),
            "load": await self.raw.hgetall("{mitras}:load"),
            "versions": await self.raw.hgetall("{mitras}:versions"),
        }
