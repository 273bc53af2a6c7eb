"""The store: transactions for what changes, and the single statements that change one thing."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from chat import errors
from chat.domain.messages import Draft, Horizon, Message, Outcome, Sent
from chat.domain.payments import Payment
from chat.domain.values import Limits
from chat.store import rows
from chat.store.queries import QUERIES
from chat.store.reads import Reads
from chat.store.work import PgWork
from common import inbox
from common.clock import Clock
from common.db import Database, Transaction
from common.log import get_logger
from common.outbox import Outbox

T = TypeVar("T")

log = get_logger("store")
_illegal = Counter("illegal_moves_total", "Moves that were refused", ["thing", "by"])


class PgStore(Reads):
    """Postgres, as the handlers see it."""

    def __init__(self, *, db: Database, outbox: Outbox, clock: Clock) -> None:
        super().__init__(db)
        self._outbox = outbox
        self._clock = clock

    async def run(self, work: Callable[[PgWork], Awaitable[T]]) -> T:
        """Run `work` in one transaction; again when a lock was in the way."""

        async def inside(tx: Transaction) -> T:
            return await work(PgWork(tx, outbox=self._outbox, clock=self._clock))

        return await self._counted(inside)

    async def _counted(self, inside: Callable[[Transaction], Awaitable[T]]) -> T:
        """Count illegal moves, whether the code refused them or only the database did."""
        try:
            return await self._db.run(inside)
        except errors.IllegalMove as error:
            _illegal.labels(error.thing, "code").inc()
            raise
        except asyncpg.CheckViolationError as error:
            table, is_move, _ = (error.constraint_name or "").partition("_legal_moves")
            if not is_move:
                raise
            # The code let it through: a fault of ours, though no harm is done.
            _illegal.labels(table, "database").inc()
            log.exception("illegal_move_reached_the_database", table=table)
            raise errors.IllegalMove from error

    async def once(
        self, consumer: str, event_id: UUID, work: Callable[[PgWork], Awaitable[T]]
    ) -> T | None:
        """Run `work` in one transaction unless this consumer has handled the event already."""

        async def inside(tx: Transaction) -> T | None:
            if not await inbox.first_time(tx, consumer=consumer, event_id=event_id):
                return None
            return await work(PgWork(tx, outbox=self._outbox, clock=self._clock))

        return await self._counted(inside)

    async def add_messages(self, drafts: Sequence[Draft]) -> list[tuple[Outcome, Sent | None]]:
        """Commit a batch of messages; answer each in its place."""

        async def inside(tx: Transaction) -> list[tuple[Outcome, Sent | None]]:
            found = await tx.fetch(
                QUERIES["add_messages"],
                list(range(len(drafts))),
                [draft.session_id for draft in drafts],
                [draft.sender_id for draft in drafts],
                [draft.client_message_id for draft in drafts],
                [draft.text for draft in drafts],
            )
            answers: list[tuple[Outcome, Sent | None]] = [("not_found", None)] * len(drafts)
            for row in found:
                draft = drafts[row["place"]]
                answers[row["place"]] = (row["outcome"], _sent(row, draft))
            return answers

        return await self._db.run(inside)

    async def move_horizon(
        self, session_id: UUID, user_id: UUID, *, delivered: int, read: int
    ) -> Horizon | None:
        """Move a party's horizons forward; None when nothing moved or it is not her session."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(
                QUERIES["move_horizon"], session_id, user_id, delivered, read
            )
        return None if row is None else Horizon(row["delivered_seq"], row["read_seq"])

    async def keep_checkout(self, payment_id: UUID, order_id: str, token: str, url: str) -> Payment:
        """Keep where to pay, unless another call was faster; return the payment as it is."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["keep_checkout"], payment_id, order_id, token, url)
        return await self.read_payment(payment_id)

    async def rename_order(self, payment_id: UUID, old: str, new: str) -> Payment:
        """Give a payment without a checkout another order id; return the payment as it is."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["rename_order"], payment_id, old, new)
        return await self.read_payment(payment_id)

    async def read_payment(self, payment_id: UUID) -> Payment:
        """Read a payment that exists."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["read_payment"], payment_id)
        assert row is not None
        return rows.payment_of(row)

    async def claim_checks(self, limit: int) -> list[Payment]:
        """Take payments that the provider should be asked about now, for this replica."""
        return await self.run(lambda work: work.claim_checks(limit))

    async def claim_refunds(self, limit: int) -> list[Payment]:
        """Take payments that are due to be refunded now, for this replica."""
        return await self.run(lambda work: work.claim_refunds(limit))

    async def mitras_alive(self, mitra_ids: Collection[UUID], silence: timedelta) -> None:
        """Note a sign of life of these mitras in the sessions that wait for one."""

        async def inside(tx: Transaction) -> None:
            await tx.execute(QUERIES["mitras_alive"], list(mitra_ids), silence)

        await self._db.run(inside)

    async def mitra_left(self, mitra_id: UUID, lost: timedelta) -> None:
        """Note that a mitra's last socket here is gone."""

        async def inside(tx: Transaction) -> None:
            await tx.execute(QUERIES["mitra_left"], mitra_id, lost)

        await self._db.run(inside)

    async def save_limits(self, limits: Limits, *, default_capacity: int) -> None:
        """Tell open_session_v1 the durations of this service's settings."""
        async with self._db.connection() as connection:
            await connection.execute(
                QUERIES["save_limits"],
                limits.payment_hold.total_seconds(),
                limits.show_up.total_seconds(),
                limits.expired_window.total_seconds(),
                list(limits.warnings),
                default_capacity,
            )


def _sent(row: rows.Row, draft: Draft) -> Sent | None:
    if row["outcome"] not in ("accepted", "repeated"):
        return None
    message = Message(
        session_id=row["session_id"],
        seq=row["seq"],
        message_id=row["message_id"],
        client_message_id=draft.client_message_id,
        sender_id=draft.sender_id,
        sender_role=row["sender_role"],
        kind=row["kind"],
        text=row["body"],
        sent_at=row["sent_at"],
    )
    return Sent(
        message=message,
        customer_id=row["customer_id"],
        mitra_id=row["mitra_id"],
        is_fresh=row["outcome"] == "accepted",
        is_first_reply=row["is_first_reply"],
    )
