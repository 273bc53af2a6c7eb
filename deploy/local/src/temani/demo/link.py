"""One socket of an app: authenticates, reconnects with backoff, and hands its frames on."""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from temani.demo.phone import LoggedOut, Phone, Refused, Unreachable

FIRST_WAIT = 0.1
LAST_WAIT = 2.0
STATE_SECONDS = 5.0
CLOSED_EXPIRED = 4401
CLOSED_REVOKED = 4403

OnFrame = Callable[[str, dict[str, Any]], None]


class Link:
    """A socket that is there whenever it can be; frames that nobody can send now are refused.

    `cursor` gives, at each connect, how far each session was received.
    """

    def __init__(
        self,
        phone: Phone,
        path: str,
        *,
        on_frame: OnFrame,
        cursor: Callable[[], dict[str, int]] | None = None,
        beat_seconds: float | None = None,
    ) -> None:
        self._phone = phone
        self._path = path
        self._on_frame = on_frame
        self._cursor = cursor
        self._beat_seconds = beat_seconds
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._away_until = 0.0
        self._back = asyncio.Event()
        self.connects = 0
        self.opened_at = float("inf")
        self.open = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled; raises LoggedOut when the login ended."""
        wait = FIRST_WAIT
        while True:
            await self._stay_away()
            began = time.monotonic()
            try:
                await self._live()
            except (aiohttp.ClientError, OSError, TimeoutError, Unreachable):
                self._phone.world.numbers.count("sockets_lost")
            finally:
                self.open.clear()
                self.opened_at = float("inf")
                self._socket = None
            if time.monotonic() - began > LAST_WAIT:
                wait = FIRST_WAIT
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, LAST_WAIT)

    async def _stay_away(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._away_until - time.monotonic())):
                await self._back.wait()

    async def until_open(self, seconds: float = 15.0) -> None:
        """Wait until the first state has arrived."""
        async with asyncio.timeout(seconds):
            await self.open.wait()

    async def send(self, kind: str, data: dict[str, Any], *, frame_id: str | None = None) -> bool:
        """Send a frame; False when there is no socket to send it on."""
        wire = self._socket
        if wire is None or not self.open.is_set():
            return False
        try:
            frame = {"type": kind, "id": frame_id, "data": data}
            await wire.send_str(orjson.dumps(frame).decode())
        except (aiohttp.ClientError, OSError):
            return False
        return True

    def drop(self, seconds: float) -> None:
        """Lose the network under the socket, without a goodbye, for some seconds."""
        self._away_until = time.monotonic() + seconds
        self._back.clear()
        raw = None if self._socket is None else self._socket.get_extra_info("socket")
        if raw is not None:
            # Lingering for no time makes the end a reset: no farewell on any layer.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    async def renew(self, seconds: float = 15.0) -> None:
        """Connect anew and wait for the full state."""
        self.drop(0.0)
        self.open.clear()
        await self.until_open(seconds)

    def wake(self) -> None:
        """Find the network again before the time is over."""
        self._away_until = 0.0
        self._back.set()

    async def _live(self) -> None:
        tokens = self._phone.tokens
        if tokens is None:
            raise LoggedOut
        async with self._phone.http.ws_connect(
            self._path, heartbeat=10, max_msg_size=1 << 20, compress=0
        ) as wire:
            await self._greet(wire, tokens.access)
            self._socket = wire
            beating = asyncio.ensure_future(self._beat())
            try:
                async for message in wire:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        await self._heed(wire, orjson.loads(message.data))
            finally:
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beating
            await self._closed(wire.close_code, tokens.access)

    async def _greet(self, wire: aiohttp.ClientWebSocketResponse, token: str) -> None:
        hello: dict[str, Any] = {"type": "auth", "token": token}
        if self._cursor is not None:
            hello["cursor"] = self._cursor()
        await wire.send_str(orjson.dumps(hello).decode())

    async def _heed(self, wire: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
        self._phone.world.numbers.event()
        kind, data = str(frame["type"]), frame.get("data") or {}
        if kind == "state":
            self.connects += 1
            self.opened_at = time.monotonic()
            self._on_frame(kind, data)
            self.open.set()
        elif kind == "restart":
            pause = float(data.get("retry_after_ms", 0)) / 1000
            self._away_until = time.monotonic() + min(pause, 5.0)
            self._back.clear()
        elif kind == "token_expiring":
            await self._freshen(wire)
        elif kind == "error":
            self._phone.world.numbers.count(f"frame_error_{data.get('code')}")
            self._on_frame(kind, {**data, "frame_id": frame.get("id")})
        else:
            self._on_frame(kind, data)

    async def _freshen(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        tokens = self._phone.tokens
        if tokens is None:
            raise LoggedOut
        with contextlib.suppress(Unreachable):
            await self._phone.refresh(tokens.access)
            fresh = self._phone.tokens
            if fresh is not None:
                hello = {"type": "auth", "token": fresh.access}
                await wire.send_str(orjson.dumps(hello).decode())

    async def _closed(self, code: int | None, token: str) -> None:
        if code == CLOSED_REVOKED:
            self._phone.tokens = None
            raise LoggedOut
        if code == CLOSED_EXPIRED:
            with contextlib.suppress(Refused):
                await self._phone.refresh(token)

    async def _beat(self) -> None:
        if self._beat_seconds is None:
            return
        while True:
            await asyncio.sleep(self._beat_seconds * random.uniform(0.8, 1.0))
            await self.send("beat", {})
