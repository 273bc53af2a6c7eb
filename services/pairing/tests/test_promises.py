# ruff: noqa: D102 - the ports say what each method means
"""What a store promises: one suite for the real stores and for the fake that handlers meet."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest
from services.pairing.tests.fakes import FakeStore
from services.pairing.tests.world import World, empty
from tests.support import TestDatabase

from common.bus import Bus
from common.ids import new_id
from common.runner import Runner
from pairing import errors
from pairing.domain import Blast, DueItem, IdempotencyKey, PairingRequest, Wish
from pairing.ports import OfferStore, RequestStore, RingStore


class Stage(Protocol):
    """A store with the few things a test must do to the world around it."""

    @property
    def requests(self) -> RequestStore: ...
    @property
    def offers(self) -> OfferStore: ...
    @property
    def rings(self) -> RingStore: ...

    async def mitra(self, *, capacity: int = 3) -> UUID: ...
    async def deactivate(self, mitra_id: UUID) -> None: ...
    async def go_offline(self, mitra_id: UUID) -> None: ...
    async def close_service(self, opens_at: datetime | None = None) -> None: ...
    async def open_service(self) -> None: ...
    async def let_wait_pass(self, *request_ids: UUID) -> None: ...
    async def let_offers_pass(self, *request_ids: UUID) -> None: ...


@dataclass
class FakeStage:
    """The fake store as a stage."""

    store: FakeStore

    @property
    def requests(self) -> FakeStore:
        """The store."""
        return self.store

    @property
    def offers(self) -> FakeStore:
        """The store."""
        return self.store

    @property
    def rings(self) -> FakeStore:
        """The store."""
        return self.store

    async def mitra(self, *, capacity: int = 3) -> UUID:
        """Make a mitra."""
        mitra_id = new_id()
        self.store.capacity[mitra_id] = capacity
        return mitra_id

    async def deactivate(self, mitra_id: UUID) -> None:
        """Switch her off."""
        self.store.inactive.add(mitra_id)

    async def go_offline(self, mitra_id: UUID) -> None:
        """Take her offline."""
        self.store.unreachable.add(mitra_id)

    async def close_service(self, opens_at: datetime | None = None) -> None:
        """Turn the switch on."""
        self.store.is_open, self.store.opens_at = False, opens_at

    async def open_service(self) -> None:
        """Turn the switch off."""
        self.store.is_open = True

    async def let_wait_pass(self, *request_ids: UUID) -> None:
        """Turn the clock."""
        self.store.now = max(self.store.requests[one].wait_until for one in request_ids)

    async def let_offers_pass(self, *request_ids: UUID) -> None:
        """Turn the clock."""
        self.store.now = max(o.expires_at for o in self.store.offers.values())


@pytest.fixture(params=["fake", "postgres"])
async def stage(
    request: pytest.FixtureRequest, runner: Runner, shared_database: TestDatabase, away: Bus
) -> Stage:
    """The fake store, then the real one."""
    if request.param == "fake":
        return FakeStage(FakeStore())
    await empty(shared_database)
    world = await World.make(shared_database, runner, bus=away)
    runner.on_stop(world.close)
    return world


async def ask(stage: Stage, customer: UUID | None = None) -> PairingRequest:
    """Open a request."""
    tier = await stage.requests.offered_tier("chat-15")
    assert tier is not None
    wish = Wish(customer or new_id(), tier.tier_id, "work", "sensitive")
    request = await stage.requests.open_request(wish, tier=tier, wait_seconds=120, key=None)
    assert request is not None
    return request


async def blast(stage: Stage, request: PairingRequest, *mitras: UUID) -> Blast:
    """Send a ring."""
    search = await stage.rings.search(request.id)
    assert search is not None
    sent = await stage.rings.place(search, mitras)
    assert sent is not None
    return sent


async def test_an_unknown_tier_is_none(stage: Stage) -> None:
    """Only a tier on offer has a version."""
    assert None is await stage.requests.offered_tier("no-such-tier")


async def test_one_search_and_one_key_per_customer(stage: Stage) -> None:
    """A second search is refused; a key stays with what it made."""
    customer, tier = new_id(), await stage.requests.offered_tier("chat-15")
    assert tier is not None
    wish, key = Wish(customer, "chat-15", "work", "normal"), IdempotencyKey("k", b"a")

    made = await stage.requests.open_request(wish, tier=tier, wait_seconds=9, key=key)

    assert made is not None
    assert None is await stage.requests.open_request(wish, tier=tier, wait_seconds=9, key=None)
    assert made.id == await stage.requests.open_request_of(customer)
    assert (made, True) == await stage.requests.made_with(customer, key)
    assert (made, False) == await stage.requests.made_with(customer, IdempotencyKey("k", b"b"))
    assert None is await stage.requests.made_with(customer, IdempotencyKey("l", b"a"))
    assert await stage.requests.cancel_request(made.id, customer)
    assert None is await stage.requests.open_request(wish, tier=tier, wait_seconds=9, key=key)


@pytest.mark.req("AV-16")
async def test_a_closed_service_takes_no_new_request(stage: Stage) -> None:
    """Refused with the reason and the next opening; open again, asked again, taken."""
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    await stage.close_service(opens_at)
    with pytest.raises(errors.ServiceClosed) as refusal:
        await ask(stage)
    assert refusal.value.fields() == {"why": "switch", "opens_at": opens_at.isoformat()}

    await stage.close_service()
    with pytest.raises(errors.ServiceClosed) as refusal:
        await ask(stage)
    assert refusal.value.fields() == {"why": "switch", "opens_at": None}

    await stage.open_service()
    assert (await ask(stage)).state == "searching"


@pytest.mark.req("AV-16")
async def test_what_is_under_way_goes_on_when_the_service_closes(stage: Stage) -> None:
    """A search gets its rings, an offer is accepted, and who searches is not told of hours."""
    first, second = await stage.mitra(), await stage.mitra()
    searching, offered = await ask(stage), await ask(stage)
    (offer,) = (await blast(stage, offered, first)).offers
    await stage.close_service()

    wish = Wish(searching.customer_id, "chat-15", "work", "sensitive")
    tier = await stage.requests.offered_tier("chat-15")
    assert tier is not None
    assert None is await stage.requests.open_request(wish, tier=tier, wait_seconds=9, key=None)
    assert (await blast(stage, searching, second)).offers
    won = await stage.offers.claim(offer.id, first)
    assert won is not None
    assert won.session_state == "pending_payment"


async def test_the_first_claim_wins_and_the_rest_falls(stage: Stage) -> None:
    """One winner; the others' offers fall; a claim again finds nothing but the own win."""
    first, second = await stage.mitra(), await stage.mitra()
    request = await ask(stage)
    one, two = (await blast(stage, request, first, second)).offers

    won = await stage.offers.claim(one.id, one.mitra_id)

    assert won is not None
    assert [two.id] == [fallen.offer_id for fallen in won.withdrawn]
    assert None is await stage.offers.claim(two.id, two.mitra_id)
    assert None is await stage.offers.claim(one.id, one.mitra_id)
    assert (won.session_id, won.session_state) == await stage.offers.session_of(
        request.id, won.mitra_id
    )
    standing = await stage.offers.standing(one.id, one.mitra_id)
    assert standing is not None
    assert ("accepted", "matched", one.mitra_id, won.session_id) == (
        standing.offer_state,
        standing.request_state,
        standing.mitra_id,
        standing.session_id,
    )
    assert await stage.offers.open_offers(two.mitra_id) == []
    assert None is await stage.requests.cancel_request(request.id, request.customer_id)


async def test_offers_are_their_mitras_own(stage: Stage) -> None:
    """Nobody touches another's offer."""
    mitra, stranger = await stage.mitra(), await stage.mitra()
    request = await ask(stage)
    (offer,) = (await blast(stage, request, mitra)).offers

    assert None is await stage.offers.claim(offer.id, stranger)
    assert None is await stage.offers.decline(offer.id, stranger)
    assert None is await stage.offers.standing(offer.id, stranger)
    assert None is await stage.offers.offer(offer.id, stranger)
    assert None is await stage.offers.request_of_offer(offer.id, stranger)
    assert not await stage.offers.note_seen(offer.id, stranger)
    assert not await stage.offers.note_delivered(offer.id, stranger)
    assert (request.id, 1) == await stage.offers.request_of_offer(offer.id, mitra)
    assert [offer] == await stage.offers.open_offers(mitra)


async def test_full_and_inactive_mitras_are_refused(stage: Stage) -> None:
    """A refusal takes nothing: the request searches on."""
    full, off = await stage.mitra(capacity=1), await stage.mitra()
    first, second = await ask(stage), await ask(stage)
    (taken,) = (await blast(stage, first, full)).offers
    offers = {o.mitra_id: o for o in (await blast(stage, second, full, off)).offers}
    assert await stage.offers.claim(taken.id, full)
    await stage.deactivate(off)

    with pytest.raises(errors.MitraFull):
        await stage.offers.claim(offers[full].id, full)
    with pytest.raises(errors.MitraInactive):
        await stage.offers.claim(offers[off].id, off)

    found = await stage.requests.request(second.id)
    assert found is not None
    assert found.state == "searching"
    assert await stage.offers.open_offers(off) == []


async def test_deadlines_are_met_once(stage: Stage) -> None:
    """Offers, then the request end when their time is over, and not again."""
    mitra = await stage.mitra()
    request = await ask(stage)
    (offer,) = (await blast(stage, request, mitra)).offers
    assert await stage.offers.expire_offers([offer.id]) == []
    assert await stage.requests.expire_requests([request.id]) == []

    await stage.let_offers_pass(request.id)

    assert DueItem("offer", offer.id) in await stage.rings.due(100)
    assert None is await stage.offers.claim(offer.id, mitra)
    assert [offer.id] == [one.offer_id for one in await stage.offers.expire_offers([offer.id])]
    assert await stage.offers.expire_offers([offer.id]) == []

    await stage.let_wait_pass(request.id)

    assert [DueItem("request", request.id)] == await stage.rings.due(100)
    (ended,) = await stage.requests.expire_requests([request.id])
    assert (ended.request.state, ended.withdrawn) == ("expired", ())
    assert await stage.requests.expire_requests([request.id]) == []
    assert await stage.rings.due(100) == []


async def test_the_last_no_makes_the_ring_due(stage: Stage) -> None:
    """A ring is due at the start, and again when nobody is asked any more."""
    mitra = await stage.mitra()
    request = await ask(stage)
    assert [DueItem("ring", request.id)] == await stage.rings.due(100)
    (offer,) = (await blast(stage, request, mitra)).offers
    assert None is await stage.rings.search(request.id)
    assert await stage.rings.hasten([request.id]) == []

    assert request.id == await stage.offers.decline(offer.id, mitra)

    assert None is await stage.offers.decline(offer.id, mitra)
    assert [request.id] == await stage.rings.hasten([request.id])
    search = await stage.rings.search(request.id)
    assert search is not None
    assert frozenset({mitra}) == search.exclude


async def test_whoever_is_gone_loses_her_offers(stage: Stage) -> None:
    """Only the offers of those who are gone now are withdrawn."""
    here, off, away = [await stage.mitra() for _ in range(3)]
    request = await ask(stage)
    await blast(stage, request, here, off, away)
    await stage.deactivate(off)
    await stage.go_offline(away)

    gone = [
        *await stage.offers.withdraw_of_inactive(here),
        *await stage.offers.withdraw_of_inactive(off),
        *await stage.offers.withdraw_of_unreachable(here, fresh_limit_seconds=45),
        *await stage.offers.withdraw_of_unreachable(away, fresh_limit_seconds=45),
    ]

    assert [off, away] == [one.mitra_id for one in gone]
