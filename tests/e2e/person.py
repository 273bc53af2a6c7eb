"""People as the end-to-end tests see them: a phone, an app, a socket; nothing from inside."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import aiohttp

Json = dict[str, Any]
# How long anybody waits for what comes at once; not what the product promises.
PATIENCE_SECONDS = 30.0
_sources = itertools.count(1)


class Refused(Exception):
    """The product said no: status, stable code, whole problem document."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status} {problem}")
        self.status, self.problem, self.code = status, problem, problem.get("code")


@dataclass(frozen=True)
class Where:
    """The addresses of one running stack."""

    gateway: str
    devproviders: str


@dataclass
class Person:
    """One person with an app: her own address, token and connection pool."""

    where: Where
    http: aiohttp.ClientSession
    token: str | None = None
    refresh_token: str | None = None
    user: Json = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, where: Where) -> AsyncIterator[Self]:
        """Open an app from a loopback address of its own, as a phone has."""
        number = next(_sources)
        source = (f"127.77.{number // 250}.{number % 250 + 1}", 0)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=source),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
        ) as http:
            yield cls(where, http)

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Json:
        """Send one request through the gateway; return its JSON or raise Refused."""
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        async with self.http.request(
            method, self.where.gateway + path, json=body, headers=sent
        ) as answer:
            found: Json = await answer.json(content_type=None) if answer.content_length != 0 else {}
            if answer.status >= 400:
                raise Refused(answer.status, found or {})
            return found or {}

    async def sign_in(self, phone: str, role: str) -> Self:
        """Ask for a one-time code, read it in the provider's inbox, and sign in with it."""
        device = f"device-{uuid4()}"
        asked = await self.call(
            "POST", "/api/auth/otp/request", {"phone": phone, "role": role, "device_id": device}
        )
        code = await self.code_for(phone)
        tokens = await self.call(
            "POST",
            "/api/auth/otp/verify",
            {
                "challenge_id": asked["challenge_id"],
                "phone": phone,
                "code": code,
                "device_id": device,
            },
        )
        return self.signed_in(tokens)

    async def sign_in_by_password(self, email: str, password: str) -> Self:
        """Sign an operator in."""
        tokens = await self.call(
            "POST",
            "/api/control/auth/login",
            {"email": email, "password": password, "device_id": f"desk-{uuid4()}"},
        )
        return self.signed_in(tokens)

    def signed_in(self, tokens: Json) -> Self:
        """Keep the tokens of a sign-in or refresh."""
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        self.user = tokens.get("user", self.user)
        return self

    async def code_for(self, phone: str) -> str:
        """Read the newest one-time code sent to `phone` from the provider simulator."""
        async with self.http.get(
            f"{self.where.devproviders}/dev/inbox.json", params={"to": phone, "wait": "25"}
        ) as answer:
            messages = (await answer.json())["messages"]
        newest = max(messages, key=lambda message: message["at"])
        return str(newest["code"])

    async def pay(self, checkout: Json, act: str = "pay") -> None:
        """Act on the provider's checkout page, as the customer does after being sent there."""
        url = f"{self.where.devproviders}/midtrans/checkout/{checkout['token']}/{act}"
        async with self.http.post(url) as answer:
            assert answer.status < 400, await answer.text()

    @contextlib.asynccontextmanager
    async def socket(self, path: str, cursor: Json | None = None) -> AsyncIterator["Socket"]:
        """Open a socket, introduce ourselves, and wait for the first full state."""
        url = self.where.gateway.replace("http", "ws", 1) + path
        async with self.http.ws_connect(url, heartbeat=PATIENCE_SECONDS) as wire:
            hello: Json = {"type": "auth", "token": self.token}
            if cursor is not None:
                hello["cursor"] = cursor
            await wire.send_json(hello)
            socket = Socket(wire)
            reader = asyncio.ensure_future(socket.read())
            try:
                socket.state = (await socket.until("state"))["data"]
                yield socket
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader


class Socket:
    """An open socket with everything it has said so far."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        self.wire = wire
        self.frames: list[Json] = []
        self.state: Json = {}
        self.close_code: int | None = None
        self._news = asyncio.Condition()

    async def read(self) -> None:
        """Keep every frame until the socket closes."""
        async for message in self.wire:
            async with self._news:
                self.frames.append(message.json())
                self._news.notify_all()
        async with self._news:
            self.close_code = self.wire.close_code
            self._news.notify_all()

    async def send(self, kind: str, data: Json | None = None) -> str:
        """Send one frame and return its id."""
        frame_id = str(uuid4())
        await self.wire.send_json({"type": kind, "id": frame_id, "data": data or {}})
        return frame_id

    async def until(
        self,
        kind: str,
        where: Callable[[Json], bool] = lambda _: True,
        *,
        within: float = PATIENCE_SECONDS,
    ) -> Json:
        """Return the first frame of `kind` that fits, waiting at most `within` seconds."""

        def found() -> Json | None:
            return next((f for f in self.frames if f["type"] == kind and where(f["data"])), None)

        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: found() or self.close_code is not None)
        except TimeoutError:
            seen = [f["type"] for f in self.frames]
            raise AssertionError(f"no {kind} within {within} s; seen {seen}") from None
        frame = found()
        assert frame is not None, f"closed with {self.close_code} before {kind}: {self.frames}"
        return frame

    async def closed(self, *, within: float = PATIENCE_SECONDS) -> int:
        """Return the close code, waiting at most `within` seconds for it."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: self.close_code is not None)
        assert self.close_code is not None
        return self.close_code
