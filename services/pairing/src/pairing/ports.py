"""What the handlers need from the outside."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol
from uuid import UUID

from common.sockets import Frame
from pairing.domain import (
    Accepted,
    Beacon,
    Blast,
    Decision,
    DueItem,
    Ended,
    IdempotencyKey,
    Mitra,
    Offer,
    OfferRecord,
    PairingRequest,
    Search,
    Standing,
    Stats,
    Tier,
    Wish,
    Withdrawal,
)


class RequestStore(Protocol):
    """The truth about requests; each method is one transaction."""

    async def made_with(
        self, customer_id: UUID, key: IdempotencyKey
    ) -> tuple[PairingRequest, bool] | None:
        """Return what this key made before, and whether the body was the same."""
        ...

    async def offered_tier(self, tier_id: str) -> Tier | None:
        """Return the tier's version that is on offer now."""
        ...

    async def open_request(
        self, wish: Wish, *, tier: Tier, wait_seconds: float, key: IdempotencyKey | None
    ) -> PairingRequest | None:
        """Open a search; None when the customer searches already or the key was used."""
        ...

    async def open_request_of(self, customer_id: UUID) -> UUID | None:
        """Return the request this customer searches with now."""
        ...

    async def request(self, request_id: UUID) -> PairingRequest | None:
        """Return one request, whoever asked."""
        ...

    async def current_request(
        self, customer_id: UUID, *, outcome_seconds: float
    ) -> PairingRequest | None:
        """Return the open request, else the newest one that was settled lately."""
        ...

    async def list_requests(
        self, *, state: str | None, before: UUID | None, limit: int
    ) -> list[PairingRequest]:
        """Return requests, newest first, made before the cursor."""
        ...

    async def record(self, request_id: UUID) -> tuple[list[OfferRecord], list[Decision]]:
        """Return everyone who was asked and everyone who was considered."""
        ...

    async def stats(self) -> Stats:
        """Return how pairing did in the last hour."""
        ...

    async def cancel_request(self, request_id: UUID, customer_id: UUID) -> Ended | None:
        """End the customer's own searching request with its offers; None when it is not one."""
        ...

    async def expire_requests(self, request_ids: Sequence[UUID]) -> list[Ended]:
        """End those whose wait is over, with their offers; each exactly once."""
        ...

    async def mitra(self, mitra_id: UUID) -> Mitra | None:
        """Return how the directory names this mitra."""
        ...


class OfferStore(Protocol):
    """The truth about offers; each method is one transaction."""

    async def claim(self, offer_id: UUID, mitra_id: UUID) -> Accepted | None:
        """Take the request and open its session, or return None when there is nothing to take.

        Raises MitraFull or MitraInactive, and then nothing is taken.
        """
        ...

    async def standing(self, offer_id: UUID, mitra_id: UUID) -> Standing | None:
        """Read an offer beside its request."""
        ...

    async def session_of(self, request_id: UUID, mitra_id: UUID) -> tuple[UUID, str] | None:
        """Return the living session of a request and its state, if it is this mitra's."""
        ...

    async def request_of_offer(self, offer_id: UUID, mitra_id: UUID) -> tuple[UUID, int] | None:
        """Return which attempt of which request this offer is for."""
        ...

    async def offer(self, offer_id: UUID, mitra_id: UUID) -> Offer | None:
        """Return one offer of this mitra, whatever its state."""
        ...

    async def open_offers(self, mitra_id: UUID) -> list[Offer]:
        """Return what this mitra may accept at this moment."""
        ...

    async def decline(self, offer_id: UUID, mitra_id: UUID) -> UUID | None:
        """Note her no; return the request, or None when the offer is not open any more."""
        ...

    async def note_seen(self, offer_id: UUID, mitra_id: UUID) -> bool:
        """Note that she looked at it; False when there is no such offer of hers."""
        ...

    async def note_delivered(self, offer_id: UUID, mitra_id: UUID) -> bool:
        """Note that her app has it; False when there is no such offer of hers."""
        ...

    async def expire_offers(self, offer_ids: Sequence[UUID]) -> list[Withdrawal]:
        """End those whose life is over; each exactly once."""
        ...

    async def withdraw_of_unreachable(
        self, mitra_id: UUID, *, fresh_limit_seconds: float
    ) -> list[Withdrawal]:
        """Take back the offers of a mitra whom availability does not call reachable now."""
        ...

    async def withdraw_of_inactive(self, mitra_id: UUID) -> list[Withdrawal]:
        """Take back the offers of a mitra whom the directory does not call active now."""
        ...


class RingStore(Protocol):
    """The truth about rings and deadlines; each method is one transaction."""

    async def search(self, request_id: UUID) -> Search | None:
        """Return whom not to ask, when this request's ring is due."""
        ...

    async def place(self, search: Search, candidates: Sequence[UUID]) -> Blast | None:
        """Write the offers of one ring and plan the next; None when somebody else did."""
        ...

    async def hasten(self, request_ids: Sequence[UUID]) -> list[UUID]:
        """Make the next ring due at once where nobody is asked any more."""
        ...

    async def due(self, limit: int) -> list[DueItem]:
        """Return deadlines that have passed, oldest first."""
        ...

    async def seconds_to_next(self) -> float | None:
        """Return how long until anyone's next deadline, by Postgres' clock."""
        ...

    async def prune(self, *, days: int, limit: int) -> int:
        """Remove old offers and decisions, at most `limit` of each."""
        ...


class Presence(Protocol):
    """Who can take work; answered by the mirror or by Postgres."""

    async def find_available(self, *, limit: int, exclude: Collection[UUID]) -> list[UUID]:
        """Return up to `limit` available mitras, in the order to ask them.

        Raises PresenceUnavailable.
        """
        ...

    async def beacon(self, *, max_age_seconds: float) -> Beacon:
        """Return what customers see if the service is open, as of so long ago at most.

        Raises PresenceUnavailable.
        """
        ...

    async def beat(self, mitra_id: UUID) -> bool:
        """Record a heartbeat received now; say whether the mitra counts as online.

        Raises PresenceUnavailable.
        """
        ...

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Record a heartbeat and tell, when it is written, what beat() says; None: nobody knows."""
        ...


class Telling(Protocol):
    """Frames to people's open sockets; never waits, never raises."""

    def customer(self, customer_id: UUID, frame: Frame) -> None:
        """Send a frame to every socket of one customer, in all replicas."""
        ...

    def customers_here(self, frame: Frame) -> None:
        """Send a frame to every customer whose socket this replica holds."""
        ...

    def mitras(
        self,
        whom: Sequence[tuple[UUID, UUID]],
        frame: Frame,
        *,
        ticket: tuple[UUID, int] | None = None,
    ) -> None:
        """Send a frame, with each one's own offer, to (mitra, offer) pairs: one message in all.

        The ticket is the (request, attempt) the offers are for, when they are new.
        """
        ...

    def holds(self, user_id: UUID) -> bool:
        """Say whether this replica holds a socket of this user."""
        ...

    def chat_has_news(self) -> None:
        """Hint to chat's relays that their outbox has a row."""
        ...


class Alarm(Protocol):
    """Wakes the loop over deadlines; a hint only, the rows decide."""

    def within(self, seconds: float) -> None:
        """Look at the deadlines after this time at the latest."""
        ...
