"""A person's phone: calls through the gateway from an address of its own, as a good app does."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import orjson

from temani.demo.world import World

ATTEMPT_SECONDS = 6.0
FIRST_WAIT = 0.1
LAST_WAIT = 1.5
TRY_AGAIN = frozenset({429, 502, 503, 504})


class Refused(Exception):
    """The system said no, with a stable code."""

    def __init__(self, status: int, code: str, detail: str = "", *, sure: bool = True) -> None:
        super().__init__(f"{status} {code} {detail}".strip())
        self.status = status
        self.code = code
        self.sure = sure  # False: an earlier attempt of the same call may have been done


class Unreachable(Exception):
    """No answer for as long as a person waits; the call may have been done."""


class LoggedOut(Exception):
    """The login ended; the person must sign in again."""


@dataclass
class Tokens:
    """What a sign-in gave."""

    access: str
    refresh: str
    user_id: str
    expires_at: float  # on our monotonic clock


@dataclass
class Phone:
    """One device of one person."""

    world: World
    address: str
    role: str
    device_id: str = field(default_factory=lambda: uuid4().hex)
    tokens: Tokens | None = None

    def __post_init__(self) -> None:
        self.http = aiohttp.ClientSession(
            self.world.gateway,
            connector=aiohttp.TCPConnector(local_addr=(self.address, 0), limit=8),
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
            json_serialize=lambda value: orjson.dumps(value).decode(),
        )
        self._refreshing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.close()

    @property
    def user_id(self) -> str:
        """Who is signed in."""
        if self.tokens is None:
            raise LoggedOut
        return self.tokens.user_id

    # --- signing in ------------------------------------------------------------------------

    async def sign_in(self, phone_number: str) -> None:
        """Ask for a code, read it from the provider's inbox, and sign in with it."""
        asked_at = await self.world.last_message_id(phone_number)
        challenge = await self.call(
            "POST",
            "/api/auth/otp/request",
            {
                "phone": phone_number,
                "role": self.role,
                "channel": "whatsapp",
                "device_id": self.device_id,
            },
            signed=False,
        )
        code = await self.world.read_code(phone_number, after=asked_at)
        self.keep(
            await self.call(
                "POST",
                "/api/auth/otp/verify",
                {
                    "challenge_id": challenge["challenge_id"],
                    "phone": phone_number,
                    "code": code,
                    "device_id": self.device_id,
                    "device_name": "demo",
                },
                signed=False,
            )
        )

    def keep(self, answer: dict[str, Any]) -> None:
        """Keep the tokens of an answer."""
        self.tokens = Tokens(
            access=answer["access_token"],
            refresh=answer["refresh_token"],
            user_id=answer["user"]["user_id"],
            expires_at=time.monotonic() + answer["expires_in"],
        )

    async def refresh(self, stale: str) -> None:
        """Rotate the tokens, unless somebody on this phone just did; LoggedOut when refused."""
        async with self._refreshing:
            if self.tokens is None:
                raise LoggedOut
            if self.tokens.access != stale:
                return
            area = "control/auth" if self.role == "operator" else "auth"
            try:
                answer = await self.call(
                    "POST",
                    f"/api/{area}/refresh",
                    {"refresh_token": self.tokens.refresh, "device_id": self.device_id},
                    signed=False,
                )
            except Refused as refused:
                self.tokens = None
                raise LoggedOut from refused
            self.keep(answer)

    # --- calling ---------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        signed: bool = True,
        patience: float = 20.0,
    ) -> dict[str, Any]:
        """Call until there is an answer; the same call is repeated with the same key.

        Raises Refused, LoggedOut, or Unreachable after `patience` seconds.
        """
        deadline, wait, unknown = time.monotonic() + patience, FIRST_WAIT, False
        while True:
            token = self.tokens.access if signed and self.tokens else None
            if signed and token is None:
                raise LoggedOut
            try:
                status, headers, data = await self._attempt(method, path, body, key, token)
            except (aiohttp.ClientError, OSError, TimeoutError) as lost:
                self.world.numbers.count("calls_lost")
                unknown = unknown or not isinstance(lost, aiohttp.ClientConnectorError)
                pause = wait * random.uniform(0.5, 1)
            else:
                if status < 400:
                    return data
                if status == 401 and token is not None:
                    await self._renew(data, token)
                    continue
                if status not in TRY_AGAIN:
                    if status == 500:
                        self.world.numbers.surprise(f"500 from {method} {_shape(path)}")
                    code = str(data.get("code", "unknown"))
                    raise Refused(status, code, str(data.get("detail", "")), sure=not unknown)
                unknown = unknown or status in {502, 504}
                self.world.numbers.count(f"calls_{status}")
                pause = max(min(_retry_after(headers), 3.0), wait * random.uniform(0.5, 1))
            if time.monotonic() + pause > deadline:
                raise Unreachable(f"{method} {path}")
            await asyncio.sleep(pause)
            wait = min(wait * 2, LAST_WAIT)

    async def _attempt(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        key: str | None,
        token: str | None,
    ) -> tuple[int, Any, dict[str, Any]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        async with self.http.request(method, path, json=body, headers=headers) as answer:
            raw = await answer.read()
            self.world.numbers.event()
            json = "json" in answer.content_type and raw
            return answer.status, answer.headers, orjson.loads(raw) if json else {}

    async def _renew(self, problem: dict[str, Any], token: str) -> None:
        if problem.get("code") == "login_revoked":
            self.tokens = None
            raise LoggedOut
        await self.refresh(token)


def _retry_after(headers: Any) -> float:
    try:
        return float(headers.get("Retry-After", 0))
    except ValueError:
        return 0.0


def _shape(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join("{id}" if len(part) == 36 and part.count("-") == 4 else part for part in parts)
