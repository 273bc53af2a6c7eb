"""The mirror of ended logins in Valkey: their keys, and one bounded question about some of them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import valkey.asyncio as valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from common import baseline
from common.clock import Clock

SENTINEL: Final = "{revoked}:seed"


class MirrorAbsent(Exception):
    """Valkey is away, or up without the sentinel: an empty Valkey knows of no revocation."""


def key_of(login_id: UUID) -> str:
    """Return the key that marks a login as revoked."""
    return f"{{revoked}}:{login_id}"


class ValkeyRevocations:
    """The mirror of revoked logins; one round trip, bounded in time, with a breaker."""

    def __init__(self, url: str, *, clock: Clock) -> None:
        # No health check: its PING would go out before the greeting of a new connection, and where
        # the server is frozen valkey-py 6.2 then connects inside connect(), for 16 s.
        pool = valkey.BlockingConnectionPool.from_url(
            url,
            max_connections=baseline.VALKEY_MAX_CONNECTIONS,
            timeout=baseline.VALKEY_POOL_TIMEOUT,
            socket_timeout=baseline.VALKEY_SOCKET_TIMEOUT,
            socket_connect_timeout=baseline.VALKEY_CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), baseline.VALKEY_READ_RETRIES),
            decode_responses=False,
        )
        self._client = valkey.Valkey(connection_pool=pool)
        self._pool = pool
        self._clock = clock
        self._failures = 0
        self._closed_until = float("-inf")

    async def revoked(self, login_ids: Sequence[UUID]) -> set[UUID]:
        """Return which of these are revoked; MirrorAbsent when that cannot be known here."""
        if self._clock.monotonic() < self._closed_until:
            raise MirrorAbsent("breaker open")
        try:
            seed, *marks = await self._client.mget([SENTINEL, *map(key_of, login_ids)])
        except (ValkeyError, OSError, TimeoutError) as error:
            self._count_failure()
            raise MirrorAbsent(type(error).__name__) from error
        self._failures = 0
        if seed is None:
            raise MirrorAbsent("not seeded")
        return {login for login, mark in zip(login_ids, marks, strict=True) if mark is not None}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._pool.disconnect()

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= baseline.VALKEY_BREAKER_FAILURES:
            self._closed_until = self._clock.monotonic() + baseline.VALKEY_BREAKER_OPEN
            self._failures = 0
