"""Handlers over small fakes: what they decide and whom they tell."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from services.pairing.tests.fakes import FakeAlarm, FakeHours, FakePresence, FakeStore, FakeTelling
from services.pairing.tests.world import settings_for

from common.db import Unavailable
from common.idempotency import IdempotencyMismatch
from common.ids import new_id
from common.testing import FakeClock
from mirror.plan import OPEN, Service
from pairing import errors
from pairing.domain import Beacon, DueItem, IdempotencyKey, Standing, Wish
from pairing.handlers import ClaimGate, Deadlines, Offers, Requests, Rings
from pairing.handlers.announce import Announcer
from pairing.handlers.beacon import BeaconBoard


@dataclass
class Stand:
    """All handlers over one fake store."""

    store: FakeStore = field(default_factory=FakeStore)
    presence: FakePresence = field(default_factory=FakePresence)
    telling: FakeTelling = field(default_factory=FakeTelling)
    alarm: FakeAlarm = field(default_factory=FakeAlarm)
    gate: ClaimGate = field(default_factory=ClaimGate)
    to_ring: list[UUID] = field(default_factory=list)
    to_tell: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wire as app.py does, with lists in place of background tasks."""
        settings = settings_for()
        self.announcer = Announcer(requests=self.store, telling=self.telling)
        self.requests = Requests(
            store=self.store,
            announcer=self.announcer,
            clock=FakeClock(),
            settings=settings,
            ring_soon=self.to_ring.append,
        )
        self.offers = Offers(
            store=self.store,
            rings=self.store,
            gate=self.gate,
            announcer=self.announcer,
            alarm=self.alarm,
            settings=settings,
            tell_soon=self.to_tell.append,
        )
        self.rings = Rings(
            store=self.store,
            presence=self.presence,
            gate=self.gate,
            announcer=self.announcer,
            alarm=self.alarm,
            settings=settings,
        )
        self.deadlines = Deadlines(
            requests=self.store,
            store=self.store,
            offers=self.offers,
            rings=self.rings,
            announcer=self.announcer,
        )

    async def offered(self, *mitras: UUID) -> tuple[UUID, dict[UUID, UUID]]:
        """Ask as a fresh customer and send the first ring; returns the offers by mitra."""
        self.presence.available = list(mitras)
        view = await self.requests.open(wish(), key=None)
        assert await self.rings.send(view.request_id)
        offers = [o for o in self.store.offers.values() if o.request_id == view.request_id]
        return view.request_id, {offer.mitra_id: offer.id for offer in offers}

    def kinds(self) -> list[str]:
        """The kinds of frames mitras were told."""
        return [frame.type for _, frame in self.telling.offers_told]


def wish(customer: UUID | None = None, tier: str = "chat-15") -> Wish:
    """What a customer asks for."""
    return Wish(customer or new_id(), tier, "work", "normal")


@pytest.mark.req("PA-01")
async def test_a_wish_is_rung_at_once_and_repeated_by_key() -> None:
    """Opening plans the first ring; the same key gives the same request, another body 422."""
    stand, customer = Stand(), new_id()
    key = IdempotencyKey("k", b"a")

    first = await stand.requests.open(wish(customer), key=key)
    again = await stand.requests.open(wish(customer), key=key)

    assert first == again
    assert [first.request_id] == stand.to_ring
    with pytest.raises(IdempotencyMismatch):
        await stand.requests.open(wish(customer), key=IdempotencyKey("k", b"b"))
    with pytest.raises(errors.RequestOpen) as refused:
        await stand.requests.open(wish(customer), key=None)
    assert {"request_id": str(first.request_id)} == refused.value.fields()
    with pytest.raises(errors.TierUnknown):
        await stand.requests.open(wish(tier="none"), key=None)


@pytest.mark.req("PA-01", "PA-04")
async def test_a_search_that_is_over_hinders_no_new_one() -> None:
    """A customer may ask anew the moment her wait is over, whether anybody swept it or not."""
    stand = Stand()
    asked = wish()
    first = await stand.requests.open(asked, key=None)
    with pytest.raises(errors.RequestOpen):
        await stand.requests.open(asked, key=None)
    stand.store.now = first.wait_until
    second = await stand.requests.open(asked, key=None)
    assert second.request_id != first.request_id
    assert stand.store.requests[first.request_id].state == "expired"
    told = [frame.data for user, frame in stand.telling.told if user == asked.customer_id]
    assert [(one.request_id, one.state) for one in told] == [
        (first.request_id, "searching"),
        (first.request_id, "expired"),
        (second.request_id, "searching"),
    ]


@pytest.mark.req("PA-02")
async def test_a_ring_is_one_message() -> None:
    """All mitras of a ring are told by one message, and those asked are not asked again."""
    stand, mitras = Stand(), [new_id() for _ in range(5)]

    request_id, offers = await stand.offered(*mitras)

    assert set(mitras) == set(offers)
    ((told, frame),) = stand.telling.offers_told
    assert (mitras, "offer") == (told, frame.type)
    assert not await stand.rings.send(request_id)


async def test_an_unknowable_presence_is_an_empty_ring() -> None:
    """When nobody can say who is there, the ring is tried again soon."""
    stand = Stand()
    stand.presence.away = True

    _, offers = await stand.offered(new_id())

    assert offers == {}
    assert stand.alarm.soonest == 2
    assert stand.telling.offers_told == []


@pytest.mark.req("PA-03")
async def test_accept_tells_everyone_once() -> None:
    """The winner's accept tells losers, winner, customer and chat; her repeat tells nobody."""
    stand, winner, loser = Stand(), new_id(), new_id()
    request_id, offers = await stand.offered(winner, loser)

    accepted = await stand.offers.accept(offers[winner], mitra_id=winner)
    told = list(stand.telling.offers_told)
    again = await stand.offers.accept(offers[winner], mitra_id=winner)

    assert accepted == again
    assert told == stand.telling.offers_told
    assert [([loser], "taken"), ([winner], "accepted")] == [
        (whom, frame.data.reason) for whom, frame in told[1:]
    ]
    assert (1, [request_id]) == (stand.telling.chat_hints, stand.to_tell)
    with pytest.raises(errors.RequestTaken):
        await stand.offers.accept(offers[loser], mitra_id=loser)
    with pytest.raises(errors.OfferNotFound):
        await stand.offers.accept(offers[loser], mitra_id=winner)


@pytest.mark.req("PA-03")
async def test_losers_in_another_replica_are_told_the_same() -> None:
    """A replica that has not seen the win reads it and refuses with the same code."""
    stand, winner, loser = Stand(), new_id(), new_id()
    _, offers = await stand.offered(winner, loser)
    await stand.offers.accept(offers[winner], mitra_id=winner)
    stand.gate = ClaimGate()
    stand.__post_init__()

    with pytest.raises(errors.RequestTaken):
        await stand.offers.accept(offers[loser], mitra_id=loser)
    assert await stand.offers.accept(offers[winner], mitra_id=winner)


async def test_a_claim_that_lost_to_nobody_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rival who rolled back costs a retry; endless rivals a 503, never a wrong 409."""
    stand, mitra = Stand(), new_id()
    _, offers = await stand.offered(mitra)
    real, failures = stand.store.claim, [1, 1]

    async def claim(offer_id: UUID, mitra_id: UUID) -> Any:
        return None if failures and failures.pop() else await real(offer_id, mitra_id)

    monkeypatch.setattr(stand.store, "claim", claim)
    assert await stand.offers.accept(offers[mitra], mitra_id=mitra)

    stand, mitra = Stand(), new_id()
    _, offers = await stand.offered(mitra)
    monkeypatch.setattr(stand.store, "claim", _nothing)
    with pytest.raises(Unavailable):
        await stand.offers.accept(offers[mitra], mitra_id=mitra)


async def _nothing(_offer_id: UUID, _mitra_id: UUID) -> None:
    return None


@pytest.mark.req("PA-05", "CH-08")
async def test_a_rerouted_away_winner_gets_nothing() -> None:
    """Her session went to another between the claim's read and chat's answer: 410."""
    stand, mitra = Stand(), new_id()
    request_id, offers = await stand.offered(mitra)
    await stand.offers.accept(offers[mitra], mitra_id=mitra)
    session_id, _, state = stand.store.sessions.pop(request_id)

    with pytest.raises(errors.OfferExpired):
        await stand.offers.accept(offers[mitra], mitra_id=mitra)
    stand.store.sessions[request_id] = (session_id, new_id(), state)
    with pytest.raises(errors.OfferExpired):
        await stand.offers.accept(offers[mitra], mitra_id=mitra)


@pytest.mark.req("PA-04")
async def test_decline_is_said_once_and_widens() -> None:
    """A no settles the offer, widens when it was the last, and repeats harmlessly."""
    stand, mitra = Stand(), new_id()
    _, offers = await stand.offered(mitra)
    stand.alarm.forget()

    first = await stand.offers.decline(offers[mitra], mitra_id=mitra)

    assert first == await stand.offers.decline(offers[mitra], mitra_id=mitra)
    assert stand.alarm.soonest == 0
    assert stand.kinds() == ["offer", "offer_withdrawn"]
    with pytest.raises(errors.OfferNotFound):
        await stand.offers.decline(offers[mitra], mitra_id=new_id())
    _, offers = await stand.offered(mitra)
    await stand.offers.accept(offers[mitra], mitra_id=mitra)
    with pytest.raises(errors.RequestSettled):
        await stand.offers.decline(offers[mitra], mitra_id=mitra)


@pytest.mark.req("PA-04")
async def test_cancel_tells_both_sides_and_repeats() -> None:
    """Cancel withdraws and tells; again it answers the same; matched it is too late."""
    stand, mitra = Stand(), new_id()
    request_id, offers = await stand.offered(mitra)
    customer = stand.store.requests[request_id].customer_id

    first = await stand.requests.cancel(request_id, customer_id=customer)

    assert first == await stand.requests.cancel(request_id, customer_id=customer)
    assert stand.kinds() == ["offer", "offer_withdrawn"]
    assert stand.telling.told[-1][1].data.state == "cancelled"
    with pytest.raises(errors.RequestNotFound):
        await stand.requests.cancel(request_id, customer_id=new_id())
    request_id, offers = await stand.offered(mitra)
    await stand.offers.accept(offers[mitra], mitra_id=mitra)
    owner = stand.store.requests[request_id].customer_id
    with pytest.raises(errors.RequestSettled):
        await stand.requests.cancel(request_id, customer_id=owner)


@pytest.mark.req("SW-04")
async def test_rings_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commands come at once, the pool is left to the people who wait."""
    stand = Stand()
    views = [await stand.requests.open(wish(), key=None) for _ in range(24)]
    now, most = 0, 0

    async def send(_request_id: UUID) -> bool:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return True

    monkeypatch.setattr(stand.rings, "send", send)
    items = [DueItem("ring", view.request_id) for view in views]
    settled = await asyncio.gather(*(stand.deadlines.settle(items[n::6]) for n in range(6)))
    assert sum(settled) == len(views)
    assert most <= 4


@pytest.mark.req("PA-04", "PA-06")
async def test_due_deadlines_are_settled_and_told() -> None:
    """The loop expires offers, sends the next ring, and at the end tells the customer."""
    stand, first, second = Stand(), new_id(), new_id()
    request_id, _ = await stand.offered(first)
    stand.presence.available = [first, second]
    stand.store.now = max(o.expires_at for o in stand.store.offers.values())

    await stand.deadlines.settle_due()

    assert {first, second} == {o.mitra_id for o in stand.store.offers.values()}
    stand.store.now = stand.store.requests[request_id].wait_until
    await stand.deadlines.settle_due()
    assert stand.telling.told[-1][1].data.state == "expired"
    assert await stand.deadlines.settle([DueItem("request", request_id)]) == 0


async def test_one_broken_row_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that fails is settled one by one."""
    stand, mitra = Stand(), new_id()
    requests = [(await stand.offered(mitra))[0] for _ in range(3)]
    stand.store.now = max(r.wait_until for r in stand.store.requests.values())
    real = stand.store.expire_requests

    async def expire(ids: list[UUID]) -> Any:
        if requests[1] in ids:
            raise ValueError("broken row")
        return await real(ids)

    monkeypatch.setattr(stand.store, "expire_requests", expire)

    assert await stand.deadlines.settle([DueItem("request", one) for one in requests]) == 2


@pytest.mark.req("AV-11")
async def test_the_beacon_is_passed_on_when_it_changes() -> None:
    """A new state is told, the same is not, and an old one is asked for anew or not shown."""
    stand, clock = Stand(), FakeClock()
    board = BeaconBoard(
        presence=stand.presence,
        hours=FakeHours(),
        announcer=stand.announcer,
        clock=clock,
        fresh_seconds=4,
    )
    board.heard(Beacon("available", 3, None))
    board.heard(Beacon("available", 3, clock.now()))
    assert len(stand.telling.broadcasts) == 1

    clock.advance(5)
    stand.presence.beacons = [Beacon("all_busy", 0, None)]
    shown = await board.now()

    assert shown is not None
    assert (shown.state, len(stand.telling.broadcasts)) == ("all_busy", 2)
    clock.advance(5)
    stand.presence.away = True
    assert None is await board.now()
    assert stand.presence.beacon_ages == [4, 4]


@pytest.mark.req("AV-11")
async def test_what_was_told_while_we_asked_is_newer_than_the_answer() -> None:
    """The answer was read before: sockets do not flip back."""
    looking = Looking()
    presence = looking.stand.presence
    for answer in ([Beacon("available", 2, None)], []):
        looking.clock.advance(5)
        presence.beacons = answer
        presence.meanwhile = lambda: looking.board.heard(Beacon("all_busy", 0, None))
        shown = await looking.board.now()
        assert shown is not None
        assert shown.state == "all_busy"

    assert looking.told == [("all_busy", 0, None)]


class Looking:
    """A board, and what the sockets of this replica were told."""

    def __init__(self) -> None:
        self.stand, self.clock, self.hours = Stand(), FakeClock(), FakeHours()
        self.board = BeaconBoard(
            presence=self.stand.presence,
            hours=self.hours,
            announcer=self.stand.announcer,
            clock=self.clock,
            fresh_seconds=4,
        )

    @property
    def told(self) -> list[tuple[str, int, str | None]]:
        """Everything that was told: state, count, why."""
        frames = self.stand.telling.broadcasts
        return [(frame.data.state, frame.data.count, frame.data.why) for frame in frames]


@pytest.mark.req("AV-11", "AV-16")
async def test_a_closing_shows_by_the_plan_alone() -> None:
    """Nobody tells it and nobody can count: sockets see it close, why, and when it opens."""
    looking = Looking()
    looking.board.heard(Beacon("available", 3, None))
    looking.stand.presence.away = True
    opens_at = looking.clock.now()
    looking.hours.service = Service(is_open=False, why="hours", opens_at=opens_at)
    await looking.board.refresh()
    await looking.board.refresh()

    shown = await looking.board.now()
    assert shown is not None
    assert (shown.state, shown.why, shown.opens_at) == ("disabled", "hours", opens_at)
    assert looking.told == [("available", 3, None), ("disabled", 0, "hours")]


@pytest.mark.req("AV-11", "AV-16")
async def test_an_opening_shows_by_the_plan_alone() -> None:
    """The hour strikes: who is there now is asked at once, and told."""
    looking = Looking()
    looking.hours.service = Service(is_open=False, why="hours")
    looking.board.heard(Beacon("disabled", 0, None, "hours"))
    looking.stand.presence.beacons = [Beacon("available", 2, None)]
    looking.clock.advance(30)
    looking.hours.service = OPEN
    await looking.board.refresh()

    assert looking.told == [("disabled", 0, "hours"), ("available", 2, None)]


@pytest.mark.req("AV-16")
async def test_a_count_that_comes_late_does_not_open_a_closed_service() -> None:
    """Availability's last word from before the closing changes nothing on the sockets."""
    looking = Looking()
    looking.hours.service = Service(is_open=False, why="switch")
    await looking.board.refresh()
    looking.board.heard(Beacon("available", 3, None))

    assert looking.told == [("disabled", 0, "switch")]


async def test_a_reopened_request_is_told_where_the_socket_is() -> None:
    """Every replica hears it, only the one with the customer's socket reads and tells."""
    stand = Stand()
    request_id, _ = await stand.offered()
    customer = stand.store.requests[request_id].customer_id
    stand.telling.told.clear()

    await stand.announcer.reopened(request_id, customer_id=customer)
    assert stand.telling.told == []
    stand.telling.here.add(customer)
    await stand.announcer.reopened(request_id, customer_id=customer)
    assert [customer] == [whom for whom, _ in stand.telling.told]


def test_standing_is_frozen() -> None:
    """Values do not change behind a decision's back."""
    assert Standing.__dataclass_params__.frozen  # type: ignore[attr-defined]  # dataclasses' own
