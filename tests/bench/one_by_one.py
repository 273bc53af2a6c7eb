"""G12: load events without the product's subscription: one at a time, and gathered behind core."""

import asyncio
import random
import time
from uuid import UUID, uuid4

import nats
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, StreamConfig
from tests.bench.floods import Ground
from tests.bench.telling import EVENTS, LIMIT_SECONDS, fill, paced, tell, until

from availability.handlers import Loads
from common import baseline

_SUBJECT = "bench.loads"
_ONE = "SELECT count(*) FROM chat.sessions WHERE mitra_id = $1 AND slot IS NOT NULL"


async def core_paced(ground: Ground, *, per_second: float, count: int) -> list[float]:
    """Return the same of one statement and one SET an event, which is as direct as it gets."""
    client, teller = await nats.connect(ground.nats_url), await nats.connect(ground.nats_url)
    one = _OneByOne(ground, acks=False)
    try:
        await client.subscribe(_SUBJECT, cb=one.hear)
        await client.flush()
        whom = random.sample(ground.mitras, count)
        told = await paced(teller, _SUBJECT, whom, per_second=per_second, told=False)
        await until(lambda: one.has(count))
    finally:
        await teller.close()
        await client.close()
    return [one.at[mitra_id] - at for mitra_id, at in told.items()]


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
        await client.subscribe(_SUBJECT, cb=listener.hear)
        await client.flush()
        for mitra_id in ground.hot():
            await tell(teller, _SUBJECT, mitra_id, told=False)
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
        await fill(client, subject, ground.hot(), told=False)
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
        await self._take(message, UUID(bytes=message.data))

    async def rate(self) -> float:
        """Return events per second, once all were handled."""
        async with asyncio.timeout(LIMIT_SECONDS):
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
