"""Mitras whose apps live on beats, and a customer who keeps looking; each notes every wrong word.

An app survives what apps survive: a lost call is made again, a lost socket is opened again.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
from tests.e2e.person import Json, Person, Refused, Where
from tests.e2e.stack import Stack

from common.testing.waiting import eventually

BEAT_SECONDS = 0.4
_LOOK_SECONDS = 0.05
_AGAIN_SECONDS = 0.2
_PING_SECONDS = 30  # a socket that is cut is told so; nobody is to lose one on a busy machine
_AWAY = (aiohttp.ClientError, OSError, TimeoutError)

PAIRING = "/api/shared/pairing/ws"
CHAT = "/api/shared/chat/ws"


@dataclass
class LiveMitra:
    """A mitra whose app beats, by HTTP or over one kind of socket, until she stops."""

    person: Person
    way: str
    beats: int = 0
    offers: int = 0
    broken: int = 0  # calls that failed, sockets that closed
    told_offline: list[float] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    @property
    def mitra_id(self) -> str:
        """Her id."""
        return str(self.person.user["user_id"])

    def live(self) -> None:
        """Start to beat."""
        life = self._call if self.way == "http" else self._stay
        self._task = asyncio.ensure_future(self._for_ever(life))

    async def stop(self) -> None:
        """Fall silent, as a phone without battery does."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _for_ever(self, life: Callable[[], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(*_AWAY, Refused):
                await life()
            self.broken += 1
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _call(self) -> None:
        while True:
            answer = await self.person.call("POST", "/api/mitra/status/heartbeat")
            self._heard(answer["is_online"])
            await asyncio.sleep(BEAT_SECONDS)

    async def _stay(self) -> None:
        url = self.person.where.gateway.replace("http", "ws", 1) + self.way
        async with self.person.http.ws_connect(url, heartbeat=_PING_SECONDS) as wire:
            await wire.send_json({"type": "auth", "token": self.person.token})
            beating = asyncio.ensure_future(self._beat(wire))
            try:
                while (message := await wire.receive()).type is aiohttp.WSMsgType.TEXT:
                    self._read(message.json())
            finally:
                beating.cancel()

    async def _beat(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(*_AWAY):
            while not wire.closed:
                await asyncio.sleep(BEAT_SECONDS)
                await wire.send_json({"type": "beat", "id": "1", "data": {}})

    def _read(self, frame: Json) -> None:
        if frame["type"] == "beat_ack":
            self._heard(frame["data"]["is_online"])
        elif frame["type"] == "offer":
            self.offers += 1

    def _heard(self, is_online: bool | None) -> None:  # noqa: FBT001 - as the app hears it
        self.beats += 1
        if is_online is False:
            self.told_offline.append(time.monotonic())


@dataclass
class Watch:
    """A customer who looks at the beacon twenty times a second, and listens to it on a socket."""

    person: Person
    looks: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[Json] = field(default_factory=list)
    slowest: float = 0.0
    lit: set[str] = field(default_factory=set)  # the ways whose last word was "available"

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator["Watch"]:
        """Look while the block runs; nothing is noted before a call and a frame say "available".

        Mitras who came online a moment ago are in the roster before all replicas heard of them.
        """
        self.lit.clear()
        tasks = [asyncio.ensure_future(self._look()), asyncio.ensure_future(self._listen())]
        try:
            await eventually(lambda: self.lit == {"call", "frame"})
            self.looks, self.slowest = 0, 0.0
            self.refused.clear()
            self.wrong.clear()
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            assert task.cancelled(), task  # whoever stopped to look saw nothing wrong any more

    async def _look(self) -> None:
        while True:
            started = time.monotonic()
            try:
                self._judge("call", await self.person.call("GET", "/api/customer/availability"))
            except Refused as refusal:
                self.refused[f"{refusal.status} {refusal.code}"] += 1
            except _AWAY as error:
                self.refused[type(error).__name__] += 1
            self.looks += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _listen(self) -> None:
        url = self.person.where.gateway.replace("http", "ws", 1) + PAIRING
        while True:
            with contextlib.suppress(*_AWAY):
                async with self.person.http.ws_connect(url) as wire:
                    await wire.send_json({"type": "auth", "token": self.person.token})
                    while (message := await wire.receive()).type is aiohttp.WSMsgType.TEXT:
                        frame = message.json()
                        if frame["type"] == "state" and frame["data"]["beacon"] is not None:
                            self._judge("frame", frame["data"]["beacon"])
                        elif frame["type"] == "beacon":
                            self._judge("frame", frame["data"])
            await asyncio.sleep(_AGAIN_SECONDS)

    def _judge(self, way: str, beacon: Json) -> None:
        if beacon["state"] == "available" and beacon["count"] >= 1:
            self.lit.add(way)
        else:
            self.lit.discard(way)
            self.wrong.append(beacon)


@dataclass
class Fleet:
    """All who live in the stack, and what Postgres says of them."""

    stack: Stack
    mitras: list[LiveMitra]
    customer: Person
    operator: Person
    watch: Watch

    @property
    def sockets(self) -> list[LiveMitra]:
        """Those who never call: their beats come over a socket only."""
        return [one for one in self.mitras if one.way != "http"]

    async def roster(self) -> dict[str, Json]:
        """Return the operators' list by mitra."""
        found: dict[str, Json] = {}
        path: str | None = "/api/control/availability/mitras?limit=200"
        while path is not None:
            page = await self.operator.call("GET", path)
            found.update({row["mitra_id"]: row for row in page["items"]})
            cursor = page["next_cursor"]
            path = cursor and f"/api/control/availability/mitras?limit=200&cursor={cursor}"
        return found

    def forget_words(self) -> None:
        """Begin anew: what was rightly said before is nobody's trouble now."""
        for one in self.mitras:
            one.told_offline.clear()

    def words(self) -> dict[str, int]:
        """Return who was told that she is offline, and how often; nobody, if all is well."""
        return {one.mitra_id: len(one.told_offline) for one in self.mitras if one.told_offline}


async def sign_in_mitra(stack: Stack, operator: Person, person: Person) -> None:
    """Make a mitra, sign her in, and let her go online."""
    phone = stack.new_phone()
    body = {"phone": phone, "display_name": "Sari", "capacity": 1}
    await operator.call("POST", "/api/control/mitras", body)
    await person.sign_in(phone, "mitra")
    await person.call("POST", "/api/mitra/status/online")


@contextlib.asynccontextmanager
async def living(stack: Stack, ways: dict[str, int]) -> AsyncIterator[Fleet]:
    """Let mitras live in the stack: so many by each way."""
    where = Where(stack.gateway, stack.devproviders)
    async with contextlib.AsyncExitStack() as doors:

        async def person() -> Person:
            return await doors.enter_async_context(Person.at(where))

        operator, customer = await person(), await person()
        await operator.sign_in_by_password(stack.operator_email, stack.operator_password)
        await customer.sign_in(stack.new_phone(), "customer")
        people = [
            LiveMitra(await person(), way) for way, number in ways.items() for _ in range(number)
        ]
        await asyncio.gather(*(sign_in_mitra(stack, operator, one.person) for one in people))
        for one in people:
            one.live()
        try:
            yield Fleet(stack, people, customer, operator, Watch(customer))
        finally:
            await asyncio.gather(*(one.stop() for one in people))
