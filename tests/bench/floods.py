"""G12: load events by the thousand, heard by the product and by those who take one at a time."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, StreamConfig
from tests.bench.crowd import Original

from availability.handlers import Loads, Statuses
from availability.providers import MirrorWriter
from availability.store import Loads as LoadStore
from availability.subscriptions import Subscriptions
from common import baseline, trace
from common.bus import Bus, Delivery
from common.bus.envelope import event_headers
from common.bus.streams import ensure_stream
from common.db import Database
from common.ids import new_id
from common.runner import Runner
from mirror import LoadFact, MirrorKit

SUBJECT = "evt.chat.session_created.v1"
EVENTS = 5_000
_HOT = 2_000  # mitras over whom a flood is spread
_STREAM, _CONSUMER = "CHAT", "availability_loads"
_AT_ONCE = 100
_POLL_SECONDS = 0.002
_LIMIT_SECONDS = 60.0

_ONE = "SELECT count(*) FROM chat.sessions WHERE mitra_id = $1 AND slot IS NOT NULL"


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
        await _fill(client, SUBJECT, ground.hot(), told=True)
        watched = Watched(ground.loads(ground.shown()))
        bus = await Bus.connect(ground.nats_url, name="bench", runner=runner)
        watched.start(bus)
        await _until(lambda: _is_done(watched, client))
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
        whom = random.sample(ground.mitras, count + _AT_ONCE)
        for mitra_id in whom[:_AT_ONCE]:
            await _tell(client, SUBJECT, mitra_id, told=True)
        await _until(lambda: _has(watched, _AT_ONCE))
        told = await _paced(client, SUBJECT, whom[_AT_ONCE:], per_second=per_second, told=True)
        await _until(lambda: _has(watched, count + _AT_ONCE))
    finally:
        await runner.stop(budget=2)
        await client.close()
    return [shown.at[mitra_id] - at for mitra_id, at in told.items()]


async def core_paced(ground: Ground, *, per_second: float, count: int) -> list[float]:
    """Return the same of one statement and one SET an event, which is as direct as it gets."""
    client, teller = await nats.connect(ground.nats_url), await nats.connect(ground.nats_url)
    one = _OneByOne(ground, acks=False)
    try:
        await client.subscribe("bench.loads", cb=one.hear)
        await client.flush()
        whom = random.sample(ground.mitras, count)
        told = await _paced(teller, "bench.loads", whom, per_second=per_second, told=False)
        await _until(lambda: one.has(count))
    finally:
        await teller.close()
        await client.close()
    return [one.at[mitra_id] - at for mitra_id, at in told.items()]


async def _paced(
    client: Client, subject: str, whom: Sequence[UUID], *, per_second: float, told: bool
) -> dict[UUID, float]:
    """Tell one event after the other at this rate; return when each was told."""
    at: dict[UUID, float] = {}
    started = time.perf_counter()
    for number, mitra_id in enumerate(whom):
        await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
        at[mitra_id] = time.perf_counter()
        await _tell(client, subject, mitra_id, told=told)
    return at


async def core_flood(ground: Ground) -> float:
    """Return events per second of a core subscriber with one statement and one SET an event."""
    return await _core(ground, _OneByOne(ground, acks=False))


async def core_together(ground: Ground) -> float:
    """Return events per second of the product's recompute behind the same bare core subject."""
    together = _Gathered(ground.loads(ground.shown()))
    looking = asyncio.ensure_future(together.look())
    try:
        return await _core(ground, together)
    finally:
        looking.cancel()


async def _core(ground: Ground, listener: "_Listener") -> float:
    client, teller = await nats.connect(ground.nats_url), await nats.connect(ground.nats_url)
    try:
        await client.subscribe("bench.loads", cb=listener.hear)
        await client.flush()
        for mitra_id in ground.hot():
            await _tell(teller, "bench.loads", mitra_id, told=False)
        await teller.flush()
        return await listener.rate()
    finally:
        await teller.close()
        await client.close()


async def stream_flood(ground: Ground) -> float:
    """Return events per second of a JetStream subscriber that handles and acks each by itself."""
    client = await nats.connect(ground.nats_url)
    one = _OneByOne(ground, acks=True)
    stream, subject = f"BENCH{uuid4().hex}", f"bench.{uuid4().hex}"
    js = client.jetstream()
    try:
        await js.add_stream(StreamConfig(name=stream, subjects=[subject]))
        await _fill(client, subject, ground.hot(), told=False)
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, max_ack_pending=EVENTS)
        await js.subscribe(subject, cb=one.hear, manual_ack=True, config=config)
        return await one.rate()
    finally:
        await js.delete_stream(stream)
        await client.close()


class _Listener:
    """Takes the events of a flood; knows when the first came and when all were handled."""

    def __init__(self) -> None:
        self._started = 0.0
        self._handled = 0
        self._done = asyncio.Event()

    async def hear(self, message: Msg) -> None:
        """Take one event."""
        self._started = self._started or time.perf_counter()
        await self._take(message, UUID(json.loads(message.data)["mitra_id"]))

    async def rate(self) -> float:
        """Return events per second, once all were handled."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            await self._done.wait()
        return EVENTS / (time.perf_counter() - self._started)

    async def _take(self, message: Msg, mitra_id: UUID) -> None:
        raise NotImplementedError

    def _count(self, handled: int) -> None:
        self._handled += handled
        if self._handled == EVENTS:
            self._done.set()


class _OneByOne(_Listener):
    """One statement and one SET an event, the next event after that."""

    def __init__(self, ground: Ground, *, acks: bool) -> None:
        super().__init__()
        self._ground = ground
        self._acks = acks
        self.at: dict[UUID, float] = {}

    async def has(self, count: int) -> bool:
        """Return whether so many were handled."""
        return self._handled >= count

    async def _take(self, message: Msg, mitra_id: UUID) -> None:
        load = await self._ground.admin.fetchval(_ONE, mitra_id)
        await self._ground.original.set_capacity(mitra_id, load)
        if self._acks:
            await message.ack()
        self.at[mitra_id] = time.perf_counter()
        self._count(1)


class _Gathered(_Listener):
    """The product's handler, one run at a time, with all that came meanwhile."""

    def __init__(self, loads: Loads) -> None:
        super().__init__()
        self._loads = loads
        self._waiting: list[UUID] = []
        self._wake = asyncio.Event()

    async def look(self) -> None:
        """Recompute for as long as somebody is waiting."""
        while await self._wake.wait():
            self._wake.clear()
            while self._waiting:
                some = self._waiting[: baseline.CONSUMER_GATHER]
                self._waiting = self._waiting[len(some) :]
                await self._loads.changed(set(some))
                self._count(len(some))

    async def _take(self, message: Msg, mitra_id: UUID) -> None:
        self._waiting.append(mitra_id)
        self._wake.set()


async def _fill(client: Client, subject: str, mitras: Sequence[UUID], *, told: bool) -> None:
    """Put events into a stream, each one acknowledged by it."""
    for start in range(0, len(mitras), _AT_ONCE):
        part = mitras[start : start + _AT_ONCE]
        await asyncio.gather(*(_put(client, subject, mitra_id, told=told) for mitra_id in part))


async def _put(client: Client, subject: str, mitra_id: UUID, *, told: bool) -> None:
    await client.jetstream().publish(subject, _body(mitra_id), headers=_envelope(told=told))


async def _tell(client: Client, subject: str, mitra_id: UUID, *, told: bool) -> None:
    await client.publish(subject, _body(mitra_id), headers=_envelope(told=told))


def _body(mitra_id: UUID) -> bytes:
    return json.dumps({"mitra_id": str(mitra_id)}).encode()


def _envelope(*, told: bool) -> dict[str, str] | None:
    """Return the envelope of an event as the product tells it; the others carry none."""
    if not told:
        return None
    at = datetime.now(UTC).isoformat()
    return event_headers(id=new_id(), subject=SUBJECT, at=at, traceparent=trace.traceparent())


async def _is_done(watched: Watched, client: Client) -> bool:
    if watched.handled < EVENTS:
        return False
    info = await client.jetstream().consumer_info(_STREAM, _CONSUMER)
    return not info.num_ack_pending and not info.num_pending


async def _has(watched: Watched, count: int) -> bool:
    return watched.handled >= count


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not await done():
            await asyncio.sleep(_POLL_SECONDS)
