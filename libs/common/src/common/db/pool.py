"""The pool: opened with explicit limits, patient at start-up, impatient afterwards."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self, TypeVar

import asyncpg
from prometheus_client import Counter, Gauge, Histogram

from common import baseline, failpoints
from common.db.errors import Busy, CommitUnknown, ConnectionLost, Unavailable, is_lost, translate
from common.db.session import Connection, RawConnection, Transaction
from common.log import get_logger

T = TypeVar("T")

_log = get_logger("db")
_waits = Histogram(
    "db_pool_wait_seconds",
    "Waiting for a connection of the pool",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1),
)
_refused = Counter("db_unavailable_total", "Calls that found no usable connection", ["reason"])
_retries = Counter("db_retries_total", "Transactions run again", ["reason"])
_in_use = Gauge("db_connections_in_use", "Connections that are borrowed now")

_TRIES = 4
# One lock wait (2 s) may be repeated, a statement that hung (3 s) may not: callers get 5 s.
_RETRY_WITHIN = 2.5
_FIRST_WAIT = 0.1
_LAST_WAIT = 3.0


class Database:
    """A pool of connections to one Postgres, as one role."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        min_size: int = baseline.PG_MIN_SIZE,
        max_size: int = baseline.PG_MAX_SIZE,
        statement_cache_size: int = baseline.PG_STATEMENT_CACHE_SIZE,
    ) -> Self:
        """Open the pool; wait for Postgres as long as it takes, saying so in the log."""
        wait = _FIRST_WAIT
        while True:
            try:
                return cls(
                    await asyncpg.create_pool(
                        url,
                        min_size=min(min_size, max_size),
                        max_size=max_size,
                        timeout=baseline.PG_CONNECT_TIMEOUT,
                        command_timeout=baseline.PG_COMMAND_TIMEOUT,
                        max_inactive_connection_lifetime=baseline.PG_MAX_INACTIVE_LIFETIME,
                        statement_cache_size=statement_cache_size,
                        server_settings={"application_name": name},
                        reset=_keep,
                    )
                )
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                _log.warning("postgres_awaited", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _LAST_WAIT)

    @property
    def max_size(self) -> int:
        """How many connections there are at the most."""
        return self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection for single statements; Unavailable after 0.5 s without one."""
        raw = await self._acquire()
        try:
            yield Connection(raw)
        except BaseException as error:
            _distrust(raw, error)
            raise
        finally:
            await self._release(raw)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; commit at the end of the block, roll back on any error."""
        raw = await self._acquire()
        tx = Transaction(raw)
        try:
            await tx.execute("BEGIN")
            yield tx
            await _commit(raw)
            failpoints.reach("after_commit")
        except BaseException as error:
            await _roll_back(raw, error)
            raise
        finally:
            await self._release(raw)
        tx.committed()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction; again, at most three times, when a lock was in the way."""
        started, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except (Busy, ConnectionLost, asyncpg.InvalidCachedStatementError) as error:
                # A lost connection is worth one more try: the pool may hold a living one.
                limit = 2 if isinstance(error, ConnectionLost) else _TRIES
                if tries >= limit or time.monotonic() - started > _RETRY_WITHIN:
                    raise
                _retries.labels(type(error).__name__).inc()
            await asyncio.sleep(random.uniform(0.005, 0.02) * 3**tries)

    async def close(self) -> None:
        """Close the pool within 5 s; whoever still holds a connection loses it."""
        try:
            async with asyncio.timeout(baseline.PG_CLOSE_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            _log.warning("connections_torn")
            self._pool.terminate()

    async def _acquire(self) -> RawConnection:
        started = time.perf_counter()
        try:
            raw = await self._pool.acquire(timeout=baseline.PG_ACQUIRE_TIMEOUT)
        except TimeoutError:
            _refused.labels("exhausted").inc()
            raise Unavailable("No connection was free in time.") from None
        except Exception as error:
            _refused.labels("away").inc()
            own = translate(error)
            if isinstance(error, asyncpg.InterfaceError):
                own = Unavailable(f"The pool is closed: {error}")
            raise own from error
        _waits.observe(time.perf_counter() - started)
        _in_use.inc()
        return raw

    async def _release(self, raw: RawConnection) -> None:
        _in_use.dec()
        try:
            await self._pool.release(raw, timeout=baseline.PG_ACQUIRE_TIMEOUT)
        except Exception:  # noqa: BLE001 - see below
            # The pool has already thrown the connection away; the caller's work is done.
            _log.warning("connection_dropped", exc_info=True)


async def _keep(_connection: object) -> None:
    """Skip the reset query: sessions carry no state here, and it costs a round trip each time."""


async def _commit(raw: RawConnection) -> None:
    try:
        await raw.execute("COMMIT")
    except Exception as error:
        if is_lost(error):
            raise CommitUnknown(f"{type(error).__name__}: {error}") from error
        raise translate(error) from error


async def _roll_back(raw: RawConnection, error: BaseException) -> None:
    if _distrust(raw, error):
        return
    try:
        await raw.execute("ROLLBACK", timeout=1)
    except Exception:  # noqa: BLE001 - whatever it was, the connection is of no more use
        _tear(raw)


def _distrust(raw: RawConnection, error: BaseException) -> bool:
    """Tear the connection when nobody knows what the server is doing on it."""
    # A cancelled statement may still run, and on a half-open socket its end never comes.
    if isinstance(error, (ConnectionLost, CommitUnknown)) or not isinstance(error, Exception):
        _tear(raw)
        return True
    return _closed(raw)


def _tear(raw: RawConnection) -> None:
    # The pool takes a connection back by itself when the server has closed it.
    with contextlib.suppress(asyncpg.InterfaceError):
        raw.terminate()


def _closed(raw: RawConnection) -> bool:
    try:
        return raw.is_closed()
    except asyncpg.InterfaceError:
        return True
