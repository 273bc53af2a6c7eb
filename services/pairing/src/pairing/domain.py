"""Requests and offers as values, their legal moves, and what a mitra is told who came too late."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from pairing import errors

RequestState = Literal["searching", "matched", "expired", "cancelled"]
OfferState = Literal["open", "accepted", "declined", "withdrawn", "expired"]
Sensitivity = Literal["normal", "sensitive"]

# The same table stands in migrations/0002_pre_moves.sql; a test compares them.
REQUEST_MOVES: Mapping[RequestState, frozenset[RequestState]] = {
    "searching": frozenset({"matched", "expired", "cancelled"}),
    "matched": frozenset({"searching"}),
    "expired": frozenset(),
    "cancelled": frozenset(),
}
OFFER_MOVES: Mapping[OfferState, frozenset[OfferState]] = {
    "open": frozenset({"accepted", "declined", "withdrawn", "expired"}),
    "accepted": frozenset(),
    "declined": frozenset(),
    "withdrawn": frozenset(),
    "expired": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Tier:
    """A price tier as it was when the customer asked: frozen into the request."""

    tier_id: str
    version: int
    duration_seconds: int
    price_idr: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer asks for."""

    customer_id: UUID
    tier_id: str
    topic: str
    sensitivity: Sensitivity


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's own name for one creating call, with the fingerprint of its body."""

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """A customer's wish to talk now, and how far it got."""

    id: UUID
    customer_id: UUID
    state: RequestState
    tier: Tier
    topic: str
    sensitivity: Sensitivity
    attempt: int
    ring: int
    # Mitras asked in this attempt.
    asked: int
    created_at: datetime
    wait_until: datetime
    settled_at: datetime | None
    mitra_id: UUID | None
    session_id: UUID | None
    version: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One mitra's invitation to a request, with what she needs to decide."""

    id: UUID
    request_id: UUID
    attempt: int
    mitra_id: UUID
    state: OfferState
    reason: str | None
    topic: str
    sensitivity: Sensitivity
    duration_seconds: int
    price_idr: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """An offer beside its request, read after a claim found nothing to take."""

    offer_state: OfferState
    # The offer's life was over when this was read, by Postgres' clock.
    late: bool
    offer_attempt: int
    request_id: UUID
    customer_id: UUID
    request_state: RequestState
    request_attempt: int
    mitra_id: UUID | None
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An offer taken back from a mitra."""

    offer_id: UUID
    mitra_id: UUID
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Accepted:
    """A won request: the session, and everyone else who was asked."""

    request_id: UUID
    customer_id: UUID
    mitra_id: UUID
    session_id: UUID
    session_state: str
    # From the start of this search to the claim.
    waited_seconds: float = 0.0
    withdrawn: tuple[Withdrawal, ...] = ()
    # False when this only repeats an earlier answer: nobody has to be told again.
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Search:
    """A request whose ring is due: whom not to ask."""

    request_id: UUID
    attempt: int
    exclude: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Blast:
    """One round of offers sent out together."""

    request_id: UUID
    customer_id: UUID
    attempt: int
    ring: int
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that ended without a match, and the offers that fell with it."""

    request: PairingRequest
    withdrawn: tuple[Withdrawal, ...]


@dataclass(frozen=True, slots=True)
class Mitra:
    """A mitra as the directory names her."""

    mitra_id: UUID
    display_name: str


@dataclass(frozen=True, slots=True)
class Beacon:
    """What customers see: is anyone available; while the service is closed, why and until when."""

    state: str
    count: int
    as_of: datetime | None
    why: str | None = None
    opens_at: datetime | None = None

    def says_as(self, other: "Beacon | None") -> bool:
        """Return whether both say the same, whenever it was found out."""
        return other is not None and replace(self, as_of=None) == replace(other, as_of=None)


@dataclass(frozen=True, slots=True)
class DueItem:
    """One deadline that has passed."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Stats:
    """How pairing did in the last hour."""

    searching: int
    oldest_search_seconds: float | None
    matched: int
    expired: int
    cancelled: int
    wait_p50_seconds: float | None
    wait_p95_seconds: float | None
    offers: int
    accepted: int
    declined: int
    unanswered: int
    answer_p50_seconds: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Why one mitra was in or out of one ring."""

    attempt: int
    ring: int
    mitra_id: UUID
    verdict: str
    load: int | None
    capacity: int | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """An offer with its whole history, for operators."""

    offer_id: UUID
    attempt: int
    ring: int
    mitra_id: UUID
    state: OfferState
    reason: str | None
    created_at: datetime
    expires_at: datetime
    delivered_at: datetime | None
    seen_at: datetime | None
    settled_at: datetime | None


def own_win(standing: Standing, mitra_id: UUID) -> bool:
    """Say whether this very offer already won the request for this mitra."""
    return (
        standing.offer_state == "accepted"
        and standing.request_state == "matched"
        and standing.request_attempt == standing.offer_attempt
        and standing.mitra_id == mitra_id
    )


def still_open(standing: Standing) -> bool:
    """Say whether the claim lost only to a rival who gave up again: worth another try."""
    return (
        standing.offer_state == "open"
        and not standing.late
        and standing.request_state == "searching"
        and standing.request_attempt == standing.offer_attempt
    )


def refusal(standing: Standing) -> errors.PairingError:
    """Choose what a mitra is told whose offer cannot be accepted."""
    taken = (
        standing.request_state == "matched" and standing.request_attempt == standing.offer_attempt
    )
    if taken and standing.offer_state in ("open", "withdrawn"):
        return errors.RequestTaken()
    return errors.OfferExpired()
