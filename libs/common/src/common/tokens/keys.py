"""Where verification keys come from: a secret, keys known at start, or the key set of auth."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
import jwt

from common.clock import Clock
from common.log import get_logger
from common.runner import Runner
from common.tokens.caller import KeysUnavailable, TokenInvalid

log = get_logger("tokens")


class KeySource(Protocol):
    """Where verification keys come from."""

    version: int
    """Changes whenever a key was taken away, so that cached verdicts are dropped."""

    async def key(self, kid: str | None) -> Any:
        """Return the key; raises TokenInvalid when unknown, KeysUnavailable when unknowable."""


class SecretKey:
    """One shared secret, for HS256 deployments."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("a token secret needs at least 32 bytes")
        self._secret = secret
        self.version = 0

    async def key(self, kid: str | None) -> Any:  # noqa: ARG002  # one secret has no ids
        """Return the secret, whatever the key id."""
        return self._secret


class StaticKeys:
    """Public keys known at start: the auth service verifies with its own."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._keys = dict(keys)
        self.version = 0

    async def key(self, kid: str | None) -> Any:
        """Return the key of this id."""
        if kid is None or kid not in self._keys:
            raise TokenInvalid
        return self._keys[kid]


class JwksKeys:
    """Public keys fetched from auth; survives its absence for a day.

    Known keys answer at once and are refreshed in the background when older than their life (300 s
    or what Cache-Control says). An unknown key id causes a fetch at most every 30 s.
    """

    life_seconds = 300.0
    cooldown_seconds = 30.0
    stale_seconds = 24 * 3600.0
    missing_seconds = 300.0
    fetch_seconds = 2.0
    most_missing = 128

    def __init__(self, url: str, *, clock: Clock, runner: Runner) -> None:
        self._url = url
        self._clock = clock
        self._runner = runner
        self._keys: dict[str, Any] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._last_try_failed = False
        self._life = self.life_seconds
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._fetching: asyncio.Future[None] | None = None
        self.version = 0

    async def key(self, kid: str | None) -> Any:
        """Return the key of this id."""
        if kid is None:
            raise TokenInvalid
        age = self._age()
        if kid in self._keys and age < self.stale_seconds:
            if age > self._life and self._may_try():
                self._start_fetch()
            return self._keys[kid]
        return await self._look_up(kid)

    async def _look_up(self, kid: str) -> Any:
        missing_until = self._missing.get(kid)
        if missing_until is not None and self._clock.monotonic() < missing_until:
            raise TokenInvalid
        if self._fetching is not None or self._may_try():
            await asyncio.shield(self._fetching or self._start_fetch())
        if kid in self._keys and self._age() < self.stale_seconds:
            return self._keys[kid]
        if self._last_try_failed or self._fetched_at is None:
            raise KeysUnavailable
        self._missing[kid] = self._clock.monotonic() + self.missing_seconds
        while len(self._missing) > self.most_missing:
            self._missing.popitem(last=False)
        raise TokenInvalid

    def _age(self) -> float:
        if self._fetched_at is None:
            return float("inf")
        return self._clock.monotonic() - self._fetched_at

    def _may_try(self) -> bool:
        if self._tried_at is None:
            return True
        # With no key at all every caller is refused: ask again soon, not in half a minute.
        wait = self.cooldown_seconds if self._keys else 1.0
        return self._clock.monotonic() - self._tried_at >= wait

    def _start_fetch(self) -> "asyncio.Future[None]":
        self._tried_at = self._clock.monotonic()
        self._last_try_failed = True
        done = asyncio.get_running_loop().create_future()
        self._fetching = done
        self._runner.background(self._fetch(done), name="jwks-fetch")
        return done

    async def _fetch(self, done: "asyncio.Future[None]") -> None:
        try:
            self._take(*await self._download())
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            log.warning("jwks_fetch_failed", error=type(error).__name__, known_keys=len(self._keys))
        finally:
            self._fetching = None
            if not done.done():
                done.set_result(None)

    def _take(self, keys: dict[str, Any], life: float) -> None:
        if self._keys.keys() - keys.keys():
            self.version += 1
        self._keys, self._life = keys, life
        self._fetched_at = self._clock.monotonic()
        self._last_try_failed = False
        for kid in keys:
            self._missing.pop(kid, None)

    async def _download(self) -> tuple[dict[str, Any], float]:
        limit, patience = 65536, aiohttp.ClientTimeout(total=self.fetch_seconds)
        # A fetch every five minutes does not deserve a pooled session that someone must close.
        async with (
            aiohttp.ClientSession(timeout=patience) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            raw = await response.content.read(limit + 1)
            if len(raw) > limit or not response.content.at_eof():
                raw += await response.content.read(limit)
            if len(raw) > limit:
                raise ValueError("key set too large")
            return parse_jwks(raw), _life_from(response.headers.get("Cache-Control", ""))


def parse_jwks(raw: bytes) -> dict[str, Any]:
    """Return the ES256 public keys of a key set by id; ValueError when there is none."""
    keys: dict[str, Any] = {}
    try:
        items = jwt.PyJWKSet.from_json(raw.decode()).keys
    except (AttributeError, TypeError) as error:
        raise ValueError("this is no key set") from error
    for item in items:
        kid, algorithm = item.key_id, item.algorithm_name
        if kid and algorithm == "ES256" and item.public_key_use in (None, "sig"):
            keys[kid] = item.key
    if not keys:
        raise ValueError("key set without an ES256 key")
    return keys


def _life_from(cache_control: str) -> float:
    found = re.search(r"max-age=(\d{1,6})", cache_control)
    return min(3600.0, max(60.0, float(found[1]))) if found else JwksKeys.life_seconds
