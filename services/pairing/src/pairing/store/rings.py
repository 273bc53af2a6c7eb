"""Rings: offers are durable first, and each deadline is met once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.db import Database, Transaction
from common.outbox import Outbox
from pairing.domain import Blast, DueItem, Offer, Search
from pairing.events import OffersSent
from pairing.settings import Settings
from pairing.store.rows import QUERIES, Row


class Rings:
    """The truth about rings and deadlines."""

    def __init__(self, *, db: Database, outbox: Outbox, settings: Settings) -> None:
        self._db = db
        self._outbox = outbox
        self._settings = settings

    async def search(self, request_id: UUID) -> Search | None:
        """Return whom not to ask, when this request's ring is due."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["search"], request_id)
        return None if row is None else Search(row["id"], row["attempt"], frozenset(row["exclude"]))

    async def place(self, search: Search, candidates: Sequence[UUID]) -> Blast | None:
        """Write the offers of one ring and plan the next; None when somebody else did."""

        async def work(tx: Transaction) -> Blast | None:
            ring = await tx.fetchrow(QUERIES["lock_ring"], search.request_id, search.attempt)
            if ring is None:
                return None
            rows = await self._write_offers(tx, search, ring["ring"] + 1, candidates)
            await tx.execute(
                QUERIES["close_ring"],
                search.request_id,
                len(rows),
                self._settings.ring_seconds,
                self._settings.empty_ring_seconds,
            )
            blast = _blast(ring, search, rows)
            if blast.offers:
                await self._outbox.append(tx, _sent(blast))
            return blast

        return await self._db.run(work)

    async def _write_offers(
        self, tx: Transaction, search: Search, ring: int, candidates: Sequence[UUID]
    ) -> list[Any]:
        if not candidates:
            return []
        # Its own statement: the count that follows must see what the lock waited for.
        await tx.execute(QUERIES["lock_mitras"], sorted(candidates))
        return await tx.fetch(
            QUERIES["place_offers"],
            search.request_id,
            search.attempt,
            ring,
            list(candidates),
            list(search.exclude),
            self._settings.ring_size,
            self._settings.spare_offers,
            self._settings.offer_life_seconds,
        )

    async def hasten(self, request_ids: Sequence[UUID]) -> list[UUID]:
        """Make the next ring due at once where nobody is asked any more."""

        async def work(tx: Transaction) -> list[UUID]:
            rows = await tx.fetch(QUERIES["hasten_rings"], list(request_ids))
            return [row["id"] for row in rows]

        return await self._db.run(work)

    async def due(self, limit: int) -> list[DueItem]:
        """Return deadlines that have passed, oldest first."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["due"], limit)
        return [DueItem(row["kind"], row["id"]) for row in rows]

    async def seconds_to_next(self) -> float | None:
        """Return how long until anyone's next deadline, by Postgres' clock."""
        async with self._db.connection() as connection:
            seconds: float | None = await connection.fetchval(QUERIES["seconds_to_next"])
        return seconds

    async def prune(self, *, days: int, limit: int) -> int:
        """Remove old offers and decisions, at most `limit` of each."""

        async def work(tx: Transaction) -> int:
            offers = await tx.fetch(QUERIES["prune_offers"], days, limit)
            decisions = await tx.fetch(QUERIES["prune_decisions"], days, limit)
            return len(offers) + len(decisions)

        return await self._db.run(work)


def _blast(ring: Row, search: Search, rows: Sequence[Row]) -> Blast:
    return Blast(
        request_id=search.request_id,
        customer_id=ring["customer_id"],
        attempt=search.attempt,
        ring=ring["ring"] + 1,
        offers=tuple(_offer(ring, search, row) for row in rows),
    )


def _offer(ring: Row, search: Search, row: Row) -> Offer:
    return Offer(
        id=row["id"],
        request_id=search.request_id,
        attempt=search.attempt,
        mitra_id=row["mitra_id"],
        state="open",
        reason=None,
        topic=ring["topic"],
        sensitivity=ring["sensitivity"],
        duration_seconds=ring["duration_seconds"],
        price_idr=ring["price_idr"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _sent(blast: Blast) -> OffersSent:
    return OffersSent(
        request_id=blast.request_id,
        ring=blast.ring,
        mitra_ids=[offer.mitra_id for offer in blast.offers],
        at=blast.offers[0].created_at,
    )
