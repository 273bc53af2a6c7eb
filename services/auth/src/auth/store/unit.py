"""One transaction, and where it comes from."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from auth.ports import Unit
from auth.store.desk import DeskRows
from auth.store.logins import LoginRows
from auth.store.otp import OtpRows
from auth.store.people import PeopleRows
from common.bus import Event
from common.db import Database, Transaction
from common.outbox import Outbox

T = TypeVar("T")


class PgUnit(PeopleRows, LoginRows, OtpRows, DeskRows):
    """One transaction: all of it happens or none."""

    def __init__(self, tx: Transaction, outbox: Outbox | None) -> None:
        super().__init__(tx)
        self._outbox = outbox

    async def append(self, *events: Event) -> None:
        """Say events, through the outbox."""
        if self._outbox is None:
            raise RuntimeError("this store was opened without an outbox: it cannot say events")
        await self._outbox.append(self._tx, *events)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this when, and only when, the transaction is committed."""
        self._tx.after_commit(callback)


class PgStore:
    """Transactions on Postgres; the command line needs no outbox."""

    def __init__(self, *, db: Database, outbox: Outbox | None = None) -> None:
        self._db = db
        self._outbox = outbox

    async def run(self, work: Callable[[Unit], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again if a lock was in the way."""
        return await self._db.run(lambda tx: work(self._unit(tx)))

    def _unit(self, tx: Transaction) -> Unit:
        return PgUnit(tx, self._outbox)
