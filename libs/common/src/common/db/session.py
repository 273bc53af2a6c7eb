# ruff: noqa: ASYNC109 - the driver must know the limit: asyncio.timeout() cannot end its hangs
"""What a caller may do with a borrowed connection, and what happens around a transaction."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg

from common.db.errors import translate
from common.log import get_logger

_log = get_logger("db")

RawConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Connection:
    """A borrowed connection; its errors are ours, its session state belongs to nobody.

    jsonb arrives and leaves as text. Session-wide SET, advisory session locks and LISTEN are not
    to be used: the connection goes back to the pool without a reset.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: RawConnection) -> None:
        self._raw = raw

    async def fetch(
        self, query: str, *args: object, timeout: float | None = None
    ) -> list[asyncpg.Record]:
        """Return all rows."""
        try:
            return await self._raw.fetch(query, *args, timeout=timeout)
        except Exception as error:
            raise translate(error) from error

    async def fetchrow(
        self, query: str, *args: object, timeout: float | None = None
    ) -> asyncpg.Record | None:
        """Return the first row, or None."""
        try:
            return await self._raw.fetchrow(query, *args, timeout=timeout)
        except Exception as error:
            raise translate(error) from error

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> Any:
        """Return the first column of the first row, or None."""
        try:
            return await self._raw.fetchval(query, *args, timeout=timeout)
        except Exception as error:
            raise translate(error) from error

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run the query and return its command tag, such as "UPDATE 1"."""
        try:
            return await self._raw.execute(query, *args, timeout=timeout)
        except Exception as error:
            raise translate(error) from error

    async def executemany(
        self, query: str, rows: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run the query once for each row of arguments, in one round trip."""
        try:
            await self._raw.executemany(query, list(rows), timeout=timeout)
        except Exception as error:
            raise translate(error) from error


class Transaction(Connection):
    """An open READ COMMITTED transaction."""

    __slots__ = ("_callbacks",)

    def __init__(self, raw: RawConnection) -> None:
        super().__init__(raw)
        self._callbacks: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the commit has succeeded, and only then; it must not raise or wait."""
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Run the callbacks; the database calls this."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - see below
                # The change is already true: whoever made it must not be told otherwise.
                _log.exception("after_commit_failed")
        self._callbacks.clear()
