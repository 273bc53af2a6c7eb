"""Requests: opened once, settled once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db import Database, Transaction
from common.outbox import Outbox
from pairing.domain import (
    Decision,
    Ended,
    IdempotencyKey,
    Mitra,
    OfferRecord,
    PairingRequest,
    Stats,
    Tier,
    Wish,
    Withdrawal,
)
from pairing.errors import ServiceClosed
from pairing.events import RequestCancelled, RequestExpired, RequestOpened
from pairing.store.rows import (
    QUERIES,
    decision_of,
    offer_record_of,
    request_of,
    withdrawal_of,
)


class Requests:
    """The truth about requests."""

    def __init__(self, *, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def made_with(
        self, customer_id: UUID, key: IdempotencyKey
    ) -> tuple[PairingRequest, bool] | None:
        """Return what this key made before, and whether the body was the same."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["request_by_key"], customer_id, key.key)
        return None if row is None else (request_of(row), row["fingerprint"] == key.fingerprint)

    async def offered_tier(self, tier_id: str) -> Tier | None:
        """Return the tier's version that is on offer now."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["offered_tier"], tier_id)
        return (
            None
            if row is None
            else Tier(row["tier_id"], row["version"], row["duration_seconds"], row["price_idr"])
        )

    async def open_request(
        self, wish: Wish, *, tier: Tier, wait_seconds: float, key: IdempotencyKey | None
    ) -> PairingRequest | None:
        """Open a search; None when the customer searches already or the key was used.

        Raises ServiceClosed.
        """

        async def work(tx: Transaction) -> PairingRequest | None:
            row = await tx.fetchrow(
                QUERIES["open_request"],
                wish.customer_id,
                tier.tier_id,
                tier.version,
                tier.duration_seconds,
                tier.price_idr,
                wish.topic,
                wish.sensitivity,
                wait_seconds,
                key and key.key,
                key and key.fingerprint,
            )
            if row is None:
                await self._refuse_while_closed(tx, wish.customer_id)
                return None
            request = request_of(row)
            await self._outbox.append(
                tx,
                RequestOpened(
                    request_id=request.id,
                    customer_id=request.customer_id,
                    at=request.created_at,
                ),
            )
            return request

        return await self._db.run(work)

    async def open_request_of(self, customer_id: UUID) -> UUID | None:
        """Return the request this customer searches with now."""
        async with self._db.connection() as connection:
            found: UUID | None = await connection.fetchval(QUERIES["open_request_of"], customer_id)
        return found

    async def request(self, request_id: UUID) -> PairingRequest | None:
        """Return one request, whoever asked."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["request"], request_id)
        return None if row is None else request_of(row)

    async def current_request(
        self, customer_id: UUID, *, outcome_seconds: float
    ) -> PairingRequest | None:
        """Return the open request, else the newest one that was settled lately."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(
                QUERIES["current_request"], customer_id, outcome_seconds
            )
        return None if row is None else request_of(row)

    async def list_requests(
        self, *, state: str | None, before: UUID | None, limit: int
    ) -> list[PairingRequest]:
        """Return requests, newest first, made before the cursor."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["list_requests"], state, before, limit)
        return [request_of(row) for row in rows]

    async def record(self, request_id: UUID) -> tuple[list[OfferRecord], list[Decision]]:
        """Return everyone who was asked and everyone who was considered."""
        async with self._db.connection() as connection:
            offers = await connection.fetch(QUERIES["offers_of_request"], request_id)
            decisions = await connection.fetch(QUERIES["decisions_of_request"], request_id)
        return [offer_record_of(row) for row in offers], [decision_of(row) for row in decisions]

    async def stats(self) -> Stats:
        """Return how pairing did in the last hour."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["stats"])
        if row is None:
            raise AssertionError("an aggregate gave no row")
        return Stats(**dict(row))

    async def cancel_request(self, request_id: UUID, customer_id: UUID) -> Ended | None:
        """End the customer's own searching request with its offers; None when it is not one."""

        async def work(tx: Transaction) -> Ended | None:
            row = await tx.fetchrow(QUERIES["cancel_request"], request_id, customer_id)
            if row is None:
                return None
            request = request_of(row)
            withdrawn = await self._drop_offers(tx, [request.id], "cancelled")
            await self._outbox.append(
                tx,
                RequestCancelled(
                    request_id=request.id, customer_id=customer_id, at=_settled_at(request)
                ),
            )
            return Ended(request, tuple(withdrawn))

        return await self._db.run(work)

    async def expire_requests(self, request_ids: Sequence[UUID]) -> list[Ended]:
        """End those whose wait is over, with their offers; each exactly once."""

        async def work(tx: Transaction) -> list[Ended]:
            rows = await tx.fetch(QUERIES["expire_requests"], list(request_ids))
            if not rows:
                return []
            requests = [request_of(row) for row in rows]
            withdrawn = await self._drop_offers(tx, [r.id for r in requests], "expired")
            await self._outbox.append(
                tx,
                *(
                    RequestExpired(request_id=r.id, customer_id=r.customer_id, at=_settled_at(r))
                    for r in requests
                ),
            )
            return [Ended(r, tuple(w for w in withdrawn if w.request_id == r.id)) for r in requests]

        return await self._db.run(work)

    async def mitra(self, mitra_id: UUID) -> Mitra | None:
        """Return how the directory names this mitra."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["mitras"], [mitra_id])
        return None if row is None else Mitra(row["mitra_id"], row["display_name"])

    async def _refuse_while_closed(self, tx: Transaction, customer_id: UUID) -> None:
        """Say why the insert found the service closed; who searches already is told that."""
        service = await tx.fetchrow(QUERIES["service_now"])
        if service is None or service["is_open"]:
            return
        if await tx.fetchval(QUERIES["open_request_of"], customer_id) is None:
            raise ServiceClosed(why=service["why"], opens_at=service["opens_at"])

    async def _drop_offers(
        self, tx: Transaction, request_ids: list[UUID], reason: str
    ) -> list[Withdrawal]:
        rows = await tx.fetch(QUERIES["withdraw_offers_of"], request_ids, reason)
        await tx.fetch(QUERIES["tell_chat_ended"], request_ids, reason)
        return [withdrawal_of(row) for row in rows]


def _settled_at(request: PairingRequest) -> datetime:
    if request.settled_at is None:
        raise AssertionError(f"request {request.id} was settled without a time")
    return request.settled_at
