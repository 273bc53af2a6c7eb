"""What every test of the mirror plays with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import valkey.asyncio as valkey_client
from prometheus_client import REGISTRY

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing.proxy import Proxy
from common.testing.waiting import eventually
from mirror import MirrorKit, MirrorUnavailable, keys
from mirror.link import Link
from mirror.seeding import Seeder
from mirror.testing import World
from mirror.truth import Truth
from mirror.values import MirrorRow

Through = tuple[MirrorKit, Proxy]

# What a test writes, and the next one must not find.
WRITTEN = (
    "availability.mitra_status",
    "availability.online_intervals",
    "availability.leases",
    "auth.people",
    "chat.loads",
)


@dataclass(frozen=True)
class Stage:
    """A world of mitras, the mirror of it, and the raw server beneath."""

    world: World
    kit: MirrorKit
    db: Database
    raw: valkey_client.Valkey
    runner: Runner
    url: str
    database_url: str

    def now(self) -> float:
        """Return the present moment of the clock by which beats are received."""
        return self.kit.mirror._clock.monotonic()


@contextlib.asynccontextmanager
async def configured(stage: Stage, name: str, value: str | int) -> AsyncIterator[None]:
    """Set Valkey so for a while."""
    before = (await stage.raw.config_get(name))[name]
    await stage.raw.config_set(name, value)
    try:
        yield
    finally:
        await stage.raw.config_set(name, before)


async def now_ms(stage: Stage) -> int:
    """Return the time on Valkey's clock."""
    whole, micro = await stage.raw.time()
    return int(whole * 1000 + micro / 1000)


async def age(stage: Stage, mitra: UUID, seconds: float) -> None:
    """Let her last beat lie so far back in the mirror."""
    at = await now_ms(stage) - int(seconds * 1000)
    for key in (keys.ONLINE, keys.AVAILABLE):
        await stage.raw.zadd(key, {str(mitra): at}, xx=True)


class Paused(Truth):
    """The truth, but what was read is held back until the test says so."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()

    async def rows_after(self, after: UUID, limit: int) -> list[MirrorRow]:
        """Read, then wait."""
        rows = await super().rows_after(after, limit)
        self.read.set()
        await self.go_on.wait()
        return rows


def paused_seeder(stage: Stage) -> tuple[Seeder, Paused]:
    """Make a replica whose reads can be held back."""
    truth = Paused(stage.db)
    kit = stage.kit
    return Seeder(mirror=kit.mirror, link=kit.mirror._link, truth=truth, clock=SystemClock()), truth


async def close_breaker(link: Link) -> None:
    """Let the time pass after which one tries again; return when Valkey answers."""

    async def answers() -> bool:
        link._closed_until = 0.0
        with contextlib.suppress(MirrorUnavailable):
            return await link.command(b"PING") == b"PONG"
        return False

    await eventually(answers, timeout=60)


def failures() -> float:
    """Return how often Valkey was waited for in vain, or found away."""
    return REGISTRY.get_sample_value("mirror_link_failures_total") or 0.0
