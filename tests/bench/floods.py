"""G12: load events by the thousand, heard by the product and by those who take one at a time."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import asyncpg
import nats
from nats.aio.client import Client
from tests.bench.crowd import Original
from tests.bench.telling import AT_ONCE, EVENTS, SUBJECT, fill, paced, tell, until

from availability.handlers import Loads, Statuses
from availability.providers import MirrorWriter
from availability.store import Loads as LoadStore
from availability.subscriptions import Subscriptions
from common.bus import Bus, Delivery
from common.bus.streams import ensure_stream
from common.db import Database
from common.runner import Runner
from mirror import LoadFact, MirrorKit

_HOT = 2_000  # mitras over whom a flood is spread
_STREAM, _CONSUMER = "CHAT", "availability_loads"


class Shown:
    """The product's way into the mirror, with the moment at which each load was there."""

    def __init__(self, writer: MirrorWriter) -> None:
        self._writer = writer
        self.at: dict[UUID, float] = {}

    async def show_loads(self, loads: Sequence[LoadFact]) -> None:
        """Write them, and note when."""
        await self._writer.show_loads(loads)
        now = time.perf_counter()
        self.at.update((load.mitra_id, now) for load in loads)


class Watched(Subscriptions):
    """The product's subscriptions, counting what was handled."""

    def __init__(self, loads: Loads) -> None:
        super().__init__(statuses=cast("Statuses", None), loads=loads)
        self.started = 0.0
        self.handled = 0

    async def loads_changed(self, deliveries: Sequence[Delivery]) -> None:
        """Recompute, then count."""
        self.started = self.started or time.perf_counter()
        await super().loads_changed(deliveries)
        self.handled += len(deliveries)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the events meet: the servers, the mitras, and both ways to keep their loads."""

    nats_url: str
    mitras: list[UUID]
    db: Database
    kit: MirrorKit
    original: Original
    admin: asyncpg.Connection

    def shown(self) -> Shown:
        """Return the product's way into the mirror."""
        return Shown(MirrorWriter(mirror=self.kit.mirror, seeder=self.kit.seeder))

    def loads(self, shown: Shown) -> Loads:
        """Return the product's handler."""
        return Loads(store=LoadStore(self.db), mirroring=shown, changed=lambda: None)

    def hot(self, count: int = EVENTS) -> list[UUID]:
        """Draw the mitras of a flood."""
        some = random.sample(self.mitras, _HOT)
        return [random.choice(some) for _ in range(count)]


async def product_flood(ground: Ground) -> float:
    """Return events per second: a flood that came while the service was away, to the last ack."""
    client = await nats.connect(ground.nats_url)
    runner = Runner()
    try:
        await ensure_stream(client.jetstream(), _STREAM)
        await fill(client, SUBJECT, ground.hot(), told=True)
        watched = Watched(ground.loads(ground.shown()))
        bus = await Bus.connect(ground.nats_url, name="bench", runner=runner)
        watched.start(bus)
        await until(lambda: _is_done(watched, client))
        seconds = time.perf_counter() - watched.started
    finally:
        await runner.stop(budget=2)
        await client.close()
    return EVENTS / seconds


async def product_paced(ground: Ground, *, per_second: float, count: int) -> list[float]:
    """Return the seconds from just before an event is told until the mirror has her load."""
    client = await nats.connect(ground.nats_url)
    runner = Runner()
    shown = ground.shown()
    try:
        await ensure_stream(client.jetstream(), _STREAM)
        bus = await Bus.connect(ground.nats_url, name="bench", runner=runner)
        watched = Watched(ground.loads(shown))
        watched.start(bus)
        # The first ones find a service that has just started.
        whom = random.sample(ground.mitras, count + AT_ONCE)
        for mitra_id in whom[:AT_ONCE]:
            await tell(client, SUBJECT, mitra_id, told=True)
        await until(lambda: _has(watched, AT_ONCE))
        told = await paced(client, SUBJECT, whom[AT_ONCE:], per_second=per_second, told=True)
        await until(lambda: _has(watched, count + AT_ONCE))
    finally:
        await runner.stop(budget=2)
        await client.close()
    return [shown.at[mitra_id] - at for mitra_id, at in told.items()]


async def _is_done(watched: Watched, client: Client) -> bool:
    if watched.handled < EVENTS:
        return False
    info = await client.jetstream().consumer_info(_STREAM, _CONSUMER)
    return not info.num_ack_pending and not info.num_pending


async def _has(watched: Watched, count: int) -> bool:
    return watched.handled >= count
