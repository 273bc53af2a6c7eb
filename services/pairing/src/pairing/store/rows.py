"""From rows to values, and the named queries."""

from pathlib import Path

import asyncpg

from common.db import Queries
from pairing.domain import Decision, Offer, OfferRecord, PairingRequest, Tier, Withdrawal

QUERIES = Queries.load(Path(__file__).parent.parent / "queries")

Row = asyncpg.Record


def request_of(row: Row) -> PairingRequest:
    """Read a request."""
    return PairingRequest(
        id=row["id"],
        customer_id=row["customer_id"],
        state=row["state"],
        tier=Tier(row["tier_id"], row["tier_version"], row["duration_seconds"], row["price_idr"]),
        topic=row["topic"],
        sensitivity=row["sensitivity"],
        attempt=row["attempt"],
        ring=row["ring"],
        asked=row["asked"],
        created_at=row["created_at"],
        wait_until=row["wait_until"],
        settled_at=row["settled_at"],
        mitra_id=row["mitra_id"],
        session_id=row["session_id"],
        version=row["version"],
    )


def offer_of(row: Row) -> Offer:
    """Read an offer with the facts of its request."""
    return Offer(
        id=row["id"],
        request_id=row["request_id"],
        attempt=row["attempt"],
        mitra_id=row["mitra_id"],
        state=row["state"],
        reason=row["reason"],
        topic=row["topic"],
        sensitivity=row["sensitivity"],
        duration_seconds=row["duration_seconds"],
        price_idr=row["price_idr"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def withdrawal_of(row: Row) -> Withdrawal:
    """Read an offer that just ended."""
    return Withdrawal(offer_id=row["id"], mitra_id=row["mitra_id"], request_id=row["request_id"])


def offer_record_of(row: Row) -> OfferRecord:
    """Read an offer with its whole history."""
    return OfferRecord(
        offer_id=row["id"],
        attempt=row["attempt"],
        ring=row["ring"],
        mitra_id=row["mitra_id"],
        state=row["state"],
        reason=row["reason"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        delivered_at=row["delivered_at"],
        seen_at=row["seen_at"],
        settled_at=row["settled_at"],
    )


def decision_of(row: Row) -> Decision:
    """Read why one mitra was in or out of one ring."""
    return Decision(
        attempt=row["attempt"],
        ring=row["ring"],
        mitra_id=row["mitra_id"],
        verdict=row["verdict"],
        load=row["load"],
        capacity=row["capacity"],
        decided_at=row["decided_at"],
    )
