"""Offers: who may answer, who won, what fell."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db import Database, Transaction
from common.outbox import Outbox
from pairing import errors
from pairing.domain import Accepted, Offer, Standing, Withdrawal
from pairing.events import RequestMatched
from pairing.store.rows import QUERIES, Row, offer_of, withdrawal_of

_REFUSALS: dict[str, type[errors.PairingError]] = {
    "full": errors.MitraFull,
    "inactive": errors.MitraInactive,
}


class Offers:
    """The truth about offers."""

    def __init__(self, *, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def claim(self, offer_id: UUID, mitra_id: UUID) -> Accepted | None:
        """Take the request and open its session in one transaction.

        None when there is nothing to take; MitraFull or MitraInactive when chat refuses her, and
        then nothing is taken.
        """

        async def work(tx: Transaction) -> Accepted | None:
            claimed = await tx.fetchrow(QUERIES["claim_request"], offer_id, mitra_id)
            if claimed is None:
                return None
            if not claimed["taken"]:
                # The claim waited for a lock, and the offer ended meanwhile.
                raise errors.OfferExpired
            session = await self._open_session(tx, claimed, mitra_id)
            fallen = await tx.fetch(
                QUERIES["finish_claim"], claimed["id"], session["session_id"], offer_id
            )
            await self._outbox.append(tx, _matched(claimed, mitra_id, session["session_id"]))
            return Accepted(
                request_id=claimed["id"],
                customer_id=claimed["customer_id"],
                mitra_id=mitra_id,
                session_id=session["session_id"],
                session_state=session["state"],
                waited_seconds=claimed["waited_seconds"],
                withdrawn=tuple(withdrawal_of(row) for row in fallen),
            )

        return await self._db.run(work)

    async def _open_session(self, tx: Transaction, claimed: Row, mitra_id: UUID) -> Row:
        row = await tx.fetchrow(
            QUERIES["open_session"],
            claimed["id"],
            claimed["customer_id"],
            mitra_id,
            claimed["tier_id"],
            claimed["tier_version"],
            claimed["duration_seconds"],
            claimed["price_idr"],
            claimed["topic"],
            claimed["sensitivity"],
        )
        if row is None:
            raise AssertionError("chat.open_session_v1 gave no row")
        if row["outcome"] != "opened":
            raise _REFUSALS[row["outcome"]]
        return row

    async def standing(self, offer_id: UUID, mitra_id: UUID) -> Standing | None:
        """Read an offer beside its request."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["standing"], offer_id, mitra_id)
        return (
            None
            if row is None
            else Standing(
                offer_state=row["offer_state"],
                late=row["late"],
                offer_attempt=row["offer_attempt"],
                request_id=row["request_id"],
                customer_id=row["customer_id"],
                request_state=row["request_state"],
                request_attempt=row["request_attempt"],
                mitra_id=row["mitra_id"],
                session_id=row["session_id"],
            )
        )

    async def session_of(self, request_id: UUID, mitra_id: UUID) -> tuple[UUID, str] | None:
        """Return the living session of a request and its state, if it is this mitra's."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["session_of_request"], request_id, mitra_id)
        return None if row is None else (row["session_id"], row["state"])

    async def request_of_offer(self, offer_id: UUID, mitra_id: UUID) -> tuple[UUID, int] | None:
        """Return which attempt of which request this offer is for."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["request_of_offer"], offer_id, mitra_id)
        return None if row is None else (row["request_id"], row["attempt"])

    async def offer(self, offer_id: UUID, mitra_id: UUID) -> Offer | None:
        """Return one offer of this mitra, whatever its state."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["offer"], offer_id, mitra_id)
        return None if row is None else offer_of(row)

    async def open_offers(self, mitra_id: UUID) -> list[Offer]:
        """Return what this mitra may accept at this moment."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["open_offers"], mitra_id)
        return [offer_of(row) for row in rows]

    async def decline(self, offer_id: UUID, mitra_id: UUID) -> UUID | None:
        """Note her no; return the request, or None when the offer is not open any more."""

        async def work(tx: Transaction) -> UUID | None:
            request_id: UUID | None = await tx.fetchval(
                QUERIES["decline_offer"], offer_id, mitra_id
            )
            return request_id

        return await self._db.run(work)

    async def note_seen(self, offer_id: UUID, mitra_id: UUID) -> bool:
        """Note that she looked at it; False when there is no such offer of hers."""
        return await self._note("note_seen", offer_id, mitra_id)

    async def note_delivered(self, offer_id: UUID, mitra_id: UUID) -> bool:
        """Note that her app has it; False when there is no such offer of hers."""
        return await self._note("note_delivered", offer_id, mitra_id)

    async def _note(self, query: str, offer_id: UUID, mitra_id: UUID) -> bool:
        async with self._db.connection() as connection:
            return await connection.fetchval(QUERIES[query], offer_id, mitra_id) is not None

    async def expire_offers(self, offer_ids: Sequence[UUID]) -> list[Withdrawal]:
        """End those whose life is over; each exactly once."""

        async def work(tx: Transaction) -> list[Withdrawal]:
            rows = await tx.fetch(QUERIES["expire_offers"], list(offer_ids))
            return [withdrawal_of(row) for row in rows]

        return await self._db.run(work)

    async def withdraw_of_unreachable(
        self, mitra_id: UUID, *, fresh_limit_seconds: float
    ) -> list[Withdrawal]:
        """Take back the offers of a mitra whom availability does not call reachable now."""
        fresh_ms = round(fresh_limit_seconds * 1000)
        return await self._withdraw("withdraw_offers_of_gone", mitra_id, "mitra_offline", fresh_ms)

    async def withdraw_of_inactive(self, mitra_id: UUID) -> list[Withdrawal]:
        """Take back the offers of a mitra whom the directory does not call active now."""
        return await self._withdraw("withdraw_offers_of_inactive", mitra_id, "mitra_deactivated")

    async def _withdraw(self, query: str, mitra_id: UUID, *args: object) -> list[Withdrawal]:
        async def work(tx: Transaction) -> list[Withdrawal]:
            # Its own statement: a ring that is being placed has looked at her before she was gone,
            # so its offer must be seen; the next ring sees that she is.
            await tx.execute(QUERIES["lock_mitras"], [mitra_id])
            rows = await tx.fetch(QUERIES[query], mitra_id, *args)
            return [withdrawal_of(row) for row in rows]

        return await self._db.run(work)


def _matched(claimed: Row, mitra_id: UUID, session_id: UUID) -> RequestMatched:
    at: datetime = claimed["settled_at"]
    return RequestMatched(
        request_id=claimed["id"],
        customer_id=claimed["customer_id"],
        mitra_id=mitra_id,
        session_id=session_id,
        at=at,
    )
