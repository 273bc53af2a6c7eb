# ruff: noqa: D102 - the ports say what each method means
"""Pairing in memory: small, proven by the suite that the real stores pass (`test_promises.py`)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.ids import new_id
from common.sockets import Frame
from mirror.plan import OPEN, Service
from pairing import errors
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

TIERS = {"chat-15": Tier("chat-15", 1, 900, 15000)}


class FakeStore:
    """All three stores over dictionaries; `now` moves when the test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, 9, tzinfo=UTC)
        self.requests: dict[UUID, PairingRequest] = {}
        self.offers: dict[UUID, Offer] = {}
        self.keys: dict[tuple[UUID, str], tuple[UUID, bytes]] = {}
        self.next_ring: dict[UUID, datetime] = {}
        self.capacity: dict[UUID, int] = {}
        self.inactive: set[UUID] = set()
        self.unreachable: set[UUID] = set()
        self.sessions: dict[UUID, tuple[UUID, UUID, str]] = {}
        self.seen: set[UUID] = set()
        self.opens_at: datetime | None = None
        self.is_open = True

    # --- requests

    async def made_with(
        self, customer_id: UUID, key: IdempotencyKey
    ) -> tuple[PairingRequest, bool] | None:
        made = self.keys.get((customer_id, key.key))
        return made and (self.requests[made[0]], made[1] == key.fingerprint)

    async def offered_tier(self, tier_id: str) -> Tier | None:
        return TIERS.get(tier_id)

    async def open_request(
        self, wish: Wish, *, tier: Tier, wait_seconds: float, key: IdempotencyKey | None
    ) -> PairingRequest | None:
        if await self.open_request_of(wish.customer_id):
            return None
        if not self.is_open:
            raise errors.ServiceClosed(why="switch", opens_at=self.opens_at)
        if key and (wish.customer_id, key.key) in self.keys:
            return None
        request = PairingRequest(
            id=new_id(),
            customer_id=wish.customer_id,
            state="searching",
            tier=tier,
            topic=wish.topic,
            sensitivity=wish.sensitivity,
            attempt=1,
            ring=0,
            asked=0,
            created_at=self.now,
            wait_until=self.now + timedelta(seconds=wait_seconds),
            settled_at=None,
            mitra_id=None,
            session_id=None,
            version=1,
        )
        self.requests[request.id] = request
        self.next_ring[request.id] = self.now
        if key:
            self.keys[wish.customer_id, key.key] = (request.id, key.fingerprint)
        return request

    async def open_request_of(self, customer_id: UUID) -> UUID | None:
        mine = (r for r in self.requests.values() if r.customer_id == customer_id)
        return next((r.id for r in mine if r.state == "searching"), None)

    async def request(self, request_id: UUID) -> PairingRequest | None:
        return self.requests.get(request_id)

    async def current_request(
        self, customer_id: UUID, *, outcome_seconds: float
    ) -> PairingRequest | None:
        mine = [r for r in self.requests.values() if r.customer_id == customer_id]
        return max(mine, key=lambda r: (r.state == "searching", r.id), default=None)

    async def list_requests(
        self, *, state: str | None, before: UUID | None, limit: int
    ) -> list[PairingRequest]:
        found = [r for r in self.requests.values() if state in (None, r.state)]
        return sorted(found, key=lambda r: r.id, reverse=True)[:limit]

    async def record(self, request_id: UUID) -> tuple[list[OfferRecord], list[Decision]]:
        return [], []

    async def stats(self) -> Stats:
        raise NotImplementedError

    async def cancel_request(self, request_id: UUID, customer_id: UUID) -> Ended | None:
        request = self.requests.get(request_id)
        if request is None or request.customer_id != customer_id or request.state != "searching":
            return None
        return self._end(replace(request, state="cancelled"))

    async def expire_requests(self, request_ids: Sequence[UUID]) -> list[Ended]:
        due = [self.requests[one] for one in request_ids if one in self.requests]
        return [
            self._end(replace(request, state="expired"))
            for request in due
            if request.state == "searching" and request.wait_until <= self.now
        ]

    async def mitra(self, mitra_id: UUID) -> Mitra | None:
        return Mitra(mitra_id, "Mitra")

    def _end(self, request: PairingRequest) -> Ended:
        self.requests[request.id] = replace(request, settled_at=self.now)
        del self.next_ring[request.id]
        return Ended(self.requests[request.id], tuple(self._drop(request.id)))

    def _drop(self, request_id: UUID) -> list[Withdrawal]:
        return [
            self._settle(offer, "withdrawn")
            for offer in list(self.offers.values())
            if offer.request_id == request_id and offer.state == "open"
        ]

    def _settle(self, offer: Offer, state: str) -> Withdrawal:
        self.offers[offer.id] = replace(offer, state=state)  # type: ignore[arg-type]  # a literal
        return Withdrawal(offer.id, offer.mitra_id, offer.request_id)

    # --- offers

    def _mine(self, offer_id: UUID, mitra_id: UUID) -> Offer | None:
        offer = self.offers.get(offer_id)
        return offer if offer and offer.mitra_id == mitra_id else None

    def _is_open(self, offer: Offer | None) -> bool:
        return offer is not None and offer.state == "open" and self.now < offer.expires_at

    async def claim(self, offer_id: UUID, mitra_id: UUID) -> Accepted | None:
        offer = self._mine(offer_id, mitra_id)
        if offer is None or not self._is_open(offer):
            return None
        request = self.requests[offer.request_id]
        if request.state != "searching" or request.wait_until <= self.now:
            return None
        if mitra_id in self.inactive:
            raise errors.MitraInactive
        held = sum(holder == mitra_id for _, holder, _ in self.sessions.values())
        if held >= self.capacity.get(mitra_id, 3):
            raise errors.MitraFull
        session = new_id()
        self.sessions[request.id] = (session, mitra_id, "pending_payment")
        self._settle(offer, "accepted")
        self.requests[request.id] = replace(
            request, state="matched", mitra_id=mitra_id, session_id=session, settled_at=self.now
        )
        del self.next_ring[request.id]
        return Accepted(
            request.id,
            request.customer_id,
            mitra_id,
            session,
            "pending_payment",
            withdrawn=tuple(self._drop(request.id)),
        )

    async def standing(self, offer_id: UUID, mitra_id: UUID) -> Standing | None:
        offer = self._mine(offer_id, mitra_id)
        if offer is None:
            return None
        request = self.requests[offer.request_id]
        return Standing(
            offer_state=offer.state,
            late=offer.expires_at <= self.now,
            offer_attempt=offer.attempt,
            request_id=request.id,
            customer_id=request.customer_id,
            request_state=request.state,
            request_attempt=request.attempt,
            mitra_id=request.mitra_id,
            session_id=request.session_id,
        )

    async def session_of(self, request_id: UUID, mitra_id: UUID) -> tuple[UUID, str] | None:
        found = self.sessions.get(request_id)
        return None if found is None or found[1] != mitra_id else (found[0], found[2])

    async def request_of_offer(self, offer_id: UUID, mitra_id: UUID) -> tuple[UUID, int] | None:
        offer = self._mine(offer_id, mitra_id)
        return None if offer is None else (offer.request_id, offer.attempt)

    async def offer(self, offer_id: UUID, mitra_id: UUID) -> Offer | None:
        return self._mine(offer_id, mitra_id)

    async def open_offers(self, mitra_id: UUID) -> list[Offer]:
        if mitra_id in self.inactive:
            return []
        mine = [o for o in self.offers.values() if o.mitra_id == mitra_id and self._is_open(o)]
        return [o for o in mine if self.requests[o.request_id].state == "searching"]

    async def decline(self, offer_id: UUID, mitra_id: UUID) -> UUID | None:
        offer = self._mine(offer_id, mitra_id)
        if offer is None or not self._is_open(offer):
            return None
        return self._settle(offer, "declined").request_id

    async def note_seen(self, offer_id: UUID, mitra_id: UUID) -> bool:
        if self._mine(offer_id, mitra_id) is None:
            return False
        self.seen.add(offer_id)
        return True

    async def note_delivered(self, offer_id: UUID, mitra_id: UUID) -> bool:
        return self._mine(offer_id, mitra_id) is not None

    async def expire_offers(self, offer_ids: Sequence[UUID]) -> list[Withdrawal]:
        due = [self.offers[one] for one in offer_ids if one in self.offers]
        return [
            self._settle(offer, "expired")
            for offer in due
            if offer.state == "open" and offer.expires_at <= self.now
        ]

    async def withdraw_of_unreachable(
        self, mitra_id: UUID, *, fresh_limit_seconds: float
    ) -> list[Withdrawal]:
        return self._withdraw(mitra_id) if mitra_id in self.unreachable else []

    async def withdraw_of_inactive(self, mitra_id: UUID) -> list[Withdrawal]:
        return self._withdraw(mitra_id) if mitra_id in self.inactive else []

    def _withdraw(self, mitra_id: UUID) -> list[Withdrawal]:
        mine = [o for o in self.offers.values() if o.mitra_id == mitra_id and o.state == "open"]
        return [self._settle(offer, "withdrawn") for offer in mine]

    # --- rings

    async def search(self, request_id: UUID) -> Search | None:
        request = self.requests.get(request_id)
        due = self.next_ring.get(request_id)
        if request is None or due is None or due > self.now or request.wait_until <= self.now:
            return None
        asked = (o.mitra_id for o in self.offers.values() if o.request_id == request_id)
        return Search(request_id, request.attempt, frozenset(asked))

    async def place(self, search: Search, candidates: Sequence[UUID]) -> Blast | None:
        request = self.requests[search.request_id]
        if await self.search(request.id) is None:
            return None
        chosen = [m for m in candidates if m not in search.exclude | self.inactive][:8]
        offers = tuple(self._offer(request, mitra_id) for mitra_id in chosen)
        self.offers |= {offer.id: offer for offer in offers}
        ring = request.ring + bool(offers)
        asked = request.asked + len(offers)
        self.requests[request.id] = replace(request, ring=ring, asked=asked)
        self.next_ring[request.id] = self.now + timedelta(seconds=10 if offers else 2)
        return Blast(request.id, request.customer_id, search.attempt, ring, offers)

    def _offer(self, request: PairingRequest, mitra_id: UUID) -> Offer:
        return Offer(
            id=new_id(),
            request_id=request.id,
            attempt=request.attempt,
            mitra_id=mitra_id,
            state="open",
            reason=None,
            topic=request.topic,
            sensitivity=request.sensitivity,
            duration_seconds=request.tier.duration_seconds,
            price_idr=request.tier.price_idr,
            created_at=self.now,
            expires_at=self.now + timedelta(seconds=25),
        )

    async def hasten(self, request_ids: Sequence[UUID]) -> list[UUID]:
        idle = [
            one
            for one in request_ids
            if self.next_ring.get(one, self.now) > self.now
            and not any(o.request_id == one and self._is_open(o) for o in self.offers.values())
        ]
        self.next_ring |= dict.fromkeys(idle, self.now)
        return idle

    async def due(self, limit: int) -> list[DueItem]:
        live = [r for r in self.requests.values() if r.state == "searching"]
        over = [DueItem("request", r.id) for r in live if r.wait_until <= self.now]
        rings = [DueItem("ring", r.id) for r in live if await self.search(r.id)]
        late = [o for o in self.offers.values() if o.state == "open" and o.expires_at <= self.now]
        return [*over, *rings, *(DueItem("offer", o.id) for o in late)][:limit]

    async def seconds_to_next(self) -> float | None:
        times = [*self.next_ring.values()]
        times += [o.expires_at for o in self.offers.values() if o.state == "open"]
        return (min(times) - self.now).total_seconds() if times else None

    async def prune(self, *, days: int, limit: int) -> int:
        return 0


class FakeHours:
    """Open until told otherwise."""

    def __init__(self) -> None:
        self.service = OPEN

    def now(self) -> Service:
        return self.service


class FakePresence:
    """Whoever the test says is available."""

    def __init__(self) -> None:
        self.available: list[UUID] = []
        self.beacons: list[Beacon] = []
        self.beacon_ages: list[float] = []
        self.meanwhile: Callable[[], None] | None = None
        self.away = False
        self.beats: list[UUID] = []

    async def find_available(self, *, limit: int, exclude: Collection[UUID]) -> list[UUID]:
        if self.away:
            raise errors.PresenceUnavailable
        return [mitra for mitra in self.available if mitra not in exclude][:limit]

    async def beacon(self, *, max_age_seconds: float) -> Beacon:
        self.beacon_ages.append(max_age_seconds)
        if self.meanwhile is not None:
            self.meanwhile()
        if self.away or not self.beacons:
            raise errors.PresenceUnavailable
        return self.beacons[-1]

    async def beat(self, mitra_id: UUID) -> bool:
        self.beats.append(mitra_id)
        return True

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        self.beats.append(mitra_id)
        tell(True)


class FakeTelling:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[UUID, Frame]] = []
        self.offers_told: list[tuple[list[UUID], Frame]] = []
        self.broadcasts: list[Frame] = []
        self.chat_hints = 0
        self.here: set[UUID] = set()

    def customer(self, customer_id: UUID, frame: Frame) -> None:
        self.told.append((customer_id, frame))

    def customers_here(self, frame: Frame) -> None:
        self.broadcasts.append(frame)

    def mitras(
        self,
        whom: Sequence[tuple[UUID, UUID]],
        frame: Frame,
        *,
        ticket: tuple[UUID, int] | None = None,
    ) -> None:
        self.offers_told.append(([mitra for mitra, _ in whom], frame))

    def holds(self, user_id: UUID) -> bool:
        return user_id in self.here

    def chat_has_news(self) -> None:
        self.chat_hints += 1


class FakeAlarm:
    """Remembers the soonest wish."""

    def __init__(self) -> None:
        self.soonest: float | None = None

    def forget(self) -> None:
        self.soonest = None

    def within(self, seconds: float) -> None:
        self.soonest = seconds if self.soonest is None else min(self.soonest, seconds)
