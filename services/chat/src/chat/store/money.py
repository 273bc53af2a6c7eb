"""Extensions and payments inside a transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chat.domain.extensions import Extension
from chat.domain.payments import PaidPart, Payment, ProviderWord, next_check, next_refund_try
from chat.domain.sessions import Session
from chat.domain.values import Tier
from chat.store import rows
from chat.store.part import Part
from chat.store.queries import QUERIES


class MoneyPart(Part):
    """What may be done to extensions and payments."""

    async def current_tier(self, tier_id: str) -> Tier | None:
        """Return the current version of a tier, if it is offered."""
        row = await self._tx.fetchrow(QUERIES["offered_tier"], tier_id)
        if row is None:
            return None
        return Tier(row["tier_id"], row["version"], row["duration_seconds"], row["price_idr"])

    async def add_extension(
        self, session: Session, tier: Tier, *, now: datetime, answer: timedelta
    ) -> Extension:
        """Insert an extension that waits for the mitra's answer."""
        row = await self._tx.fetchrow(
            QUERIES["add_extension"],
            session.id,
            tier.tier_id,
            tier.version,
            tier.duration_seconds,
            tier.price_idr,
            session.sensitivity,
            now,
            now + answer,
        )
        assert row is not None
        return rows.extension_of(row)

    async def find_extension(self, extension_id: UUID) -> Extension | None:
        """Read an extension, open or settled."""
        row = await self._tx.fetchrow(QUERIES["read_extension"], extension_id)
        return None if row is None else rows.extension_of(row)

    async def save_extension(self, extension: Extension) -> None:
        """Write a held extension."""
        await self._tx.execute(
            QUERIES["save_extension"],
            extension.id,
            extension.state,
            extension.answered_at,
            extension.pay_by,
            extension.resolved_at,
            extension.resolved_reason,
        )

    async def add_payment(
        self,
        session: Session,
        extension: Extension | None,
        *,
        order_id: str,
        expires_at: datetime,
        check_at: datetime,
    ) -> Payment:
        """Insert a pending payment, or return the one that exists."""
        extension_id = None if extension is None else extension.id
        await self._tx.execute(
            QUERIES["add_payment"],
            session.request_id,
            session.id,
            extension_id,
            session.customer_id,
            order_id,
            (session.tier if extension is None else extension.tier).price_idr,
            expires_at,
            check_at,
        )
        row = await self._tx.fetchrow(QUERIES["payment_of"], session.request_id, extension_id)
        assert row is not None
        return rows.payment_of(row)

    async def save_payment(self, payment: Payment) -> None:
        """Write a held payment."""
        await self._tx.execute(
            QUERIES["save_payment"],
            payment.id,
            payment.state,
            payment.transaction_id,
            payment.paid_at,
            payment.check_at,
            payment.refund_idr,
            payment.refund_reason,
            payment.refund_at,
            payment.refunded_at,
        )

    async def read_payment(self, payment_id: UUID) -> Payment:
        """Read a payment that exists, after its session was held."""
        row = await self._tx.fetchrow(QUERIES["read_payment"], payment_id)
        assert row is not None
        return rows.payment_of(row)

    async def note_word(self, payment: Payment, word: ProviderWord, source: str) -> bool:
        """Note what the provider said; False when this was noted before."""
        noted = await self._tx.fetchval(
            QUERIES["note_word"],
            payment.id,
            word.transaction_id,
            word.status,
            word.amount_idr,
            source,
        )
        return noted is not None

    async def paid_parts(self, session: Session) -> Sequence[PaidPart]:
        """Return what was paid for the session and not given back."""
        found = await self._tx.fetch(QUERIES["paid_parts"], session.id)
        return [PaidPart(rows.payment_of(row), row["bought_seconds"]) for row in found]

    async def claim_checks(self, limit: int) -> list[Payment]:
        """Take payments to ask the provider about, and say when to ask again."""
        taken = []
        for row in await self._tx.fetch(QUERIES["due_checks"], limit):
            payment = rows.payment_of(row)
            again = next_check(payment, row["now"])
            await self._tx.execute(QUERIES["postpone_check"], payment.id, again)
            taken.append(payment)
        return taken

    async def claim_refunds(self, limit: int) -> list[Payment]:
        """Take payments to give back, and say when to try again."""
        taken = []
        for row in await self._tx.fetch(QUERIES["due_refunds"], limit):
            payment = rows.payment_of(row)
            again = next_refund_try(payment, row["now"])
            await self._tx.execute(QUERIES["postpone_refund"], payment.id, again)
            taken.append(payment)
        return taken
