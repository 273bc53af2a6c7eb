"""The whole replica over HTTP and its socket, beside the real schemas of its neighbours."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from services.pairing.tests.site import Ear, Person, Site, serving
from services.pairing.tests.test_deadlines import pay, reopen, reroute_session
from services.pairing.tests.world import World
from tests import deaf

from common.bus import Bus
from common.ids import new_id
from common.runner import Runner
from common.testing import eventually, in_time
from pairing import handlers, store
from pairing.domain import Accepted
from pairing.events import RequestOpened
from pairing.handlers import ClaimGate
from pairing.inbound import DueItem, SettleDue
from pairing.jobs import Jobs


async def first_offer(site: Site, mitra: Person) -> dict[str, Any]:
    """Wait until the mitra has an offer and return it."""

    async def found() -> dict[str, Any] | None:
        offers = await site.offers(mitra)
        return offers[0] if offers else None

    offer: dict[str, Any] | None = await eventually(found)
    assert offer is not None
    return offer


async def until(ear: Ear, state: str) -> dict[str, Any]:
    """Return the first request frame with this state."""
    while (told := await ear.next("request"))["state"] != state:
        pass
    return told


@pytest.mark.req("PA-01", "PA-02", "PA-03", "PA-06", "AV-04")
async def test_from_wish_to_session(world: World, nats_url: str, valkey_url: str) -> None:
    """A customer asks, the mitra sees the offer on her socket and accepts, both are told."""
    async with serving(world, nats_url=nats_url, valkey_url=valkey_url) as site:
        await the_straight_line(site)


@pytest.mark.req("PA-02", "PA-03", "AV-07")
async def test_without_nats_and_valkey(world: World) -> None:
    """With NATS and Valkey away everything a user does works, in one replica even by push."""
    async with serving(world) as site:
        await the_straight_line(site)


@pytest.mark.req("AV-07", "OP-06")
async def test_operators_see_why_postgres_answers(world: World, valkey_url: str) -> None:
    """Valkey is up only while it is a mirror; else its state and the reason stand there."""
    await deaf.seed_deaf(world.database, valkey_url, await world.mitra())
    async with serving(world, valkey_url=valkey_url) as site:
        assert await deaf.seen(site.client, site.url) == {"up": False, "detail": deaf.SAYS}
    async with serving(world, valkey_url="valkey://127.0.0.1:1") as site:
        away = await deaf.seen(site.client, site.url)

    assert away["up"] is False
    assert away["detail"].startswith("away: ConnectionRefusedError: ")


async def the_straight_line(site: Site) -> None:
    """From the wish to the session."""
    customer, mitra = await site.person("customer"), await site.mitra()
    async with (
        site.listening(customer) as (theirs, state),
        site.listening(mitra) as (hers, own),
    ):
        assert state["request"] is None
        assert state["beacon"] is not None
        assert own["offers"] == []
        assert own["is_online"] is True

        status, request = await site.ask(customer)
        assert (status, request["state"]) == (201, "searching")

        offer = await hers.next("offer")
        assert request["request_id"] == offer["request_id"]
        await hers.say("seen", offer_id=offer["offer_id"])
        await hers.say("beat")
        assert await hers.next("beat_ack") == {"is_online": True}
        status, accepted = await site.accept(mitra, offer["offer_id"])
        assert (status, accepted["state"]) == (200, "pending_payment")

        gone = await hers.next("offer_withdrawn")
        assert (offer["offer_id"], "accepted") == (gone["offer_id"], gone["reason"])
        told = await until(theirs, "matched")
        assert accepted["session_id"] == told["session_id"]
        assert str(mitra.user_id) == told["mitra"]["mitra_id"]

        again = await site.accept(mitra, offer["offer_id"])
        assert (200, accepted) == again

    async with site.listening(customer) as (_, state):
        assert state["request"]["state"] == "matched"


@pytest.mark.req("PA-03")
async def test_losers_are_told_within_300_ms(world: World) -> None:
    """Losers get a typed 409, and their sockets a withdrawal within 300 ms of the commit."""
    async with serving(world, tick_seconds=600) as site:

        async def attempt() -> None:
            winner, loser = await site.mitra(), await site.mitra()
            async with site.listening(loser) as (ear, _):
                await site.ask(await site.person("customer"))
                theirs = await ear.next("offer")
                offer = await first_offer(site, winner)
                status, _ = await site.accept(winner, offer["offer_id"])
                assert status == 200

                async with asyncio.timeout(0.3):
                    gone = await ear.next("offer_withdrawn")

            assert (theirs["offer_id"], "taken") == (gone["offer_id"], gone["reason"])
            status, problem = await site.accept(loser, theirs["offer_id"])
            assert (status, problem["code"]) == (409, "request_taken")
            assert await site.offers(loser) == []

        await in_time(attempt)


@pytest.mark.req("PA-03")
async def test_fifty_accepts_reach_postgres_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty mitras accept over HTTP at once: one wins, and only her claim reaches Postgres."""
    claims, real = [], store.Offers.claim

    async def claim(self: store.Offers, offer_id: UUID, mitra_id: UUID) -> Accepted | None:
        claims.append(mitra_id)
        return await real(self, offer_id, mitra_id)

    monkeypatch.setattr(store.Offers, "claim", claim)
    # Whoever runs out of patience behind the first would be told to try again.
    monkeypatch.setattr(handlers, "ClaimGate", lambda: ClaimGate(patience_seconds=60))
    crowd = 50
    async with serving(world, ring_size=crowd) as site:
        mitras = [await site.mitra() for _ in range(crowd)]
        await site.ask(await site.person("customer"))
        offers = [await first_offer(site, mitra) for mitra in mitras]

        answers = await asyncio.gather(
            *(site.accept(m, o["offer_id"]) for m, o in zip(mitras, offers, strict=True))
        )

        assert [status for status, _ in answers if status != 409] == [200]
        codes = {body["code"] for status, body in answers if status == 409}
        assert {"request_taken"} == codes
        assert len(claims) == 1


@pytest.mark.req("PA-01", "OP-09")
async def test_a_repeated_wish_is_one_request(world: World) -> None:
    """Idempotency-Key: same body, same request; another body, 422; no key, 409 request_open."""
    async with serving(world) as site:
        customer = await site.person("customer")
        key = {"headers": {"Idempotency-Key": "k-1"}}

        first = await asyncio.gather(*(site.ask(customer, **key) for _ in range(5)))

        assert {201} == {status for status, _ in first}
        assert len({body["request_id"] for _, body in first}) == 1
        status, problem = await site.call(
            customer,
            "POST",
            "/api/customer/pairing",
            json={"tier_id": "chat-30", "topic": "other", "sensitivity": "normal"},
            **key,
        )
        assert (status, problem["code"]) == (422, "idempotency_mismatch")
        status, problem = await site.ask(customer)
        assert (status, problem["code"]) == (409, "request_open")
        assert first[0][1]["request_id"] == problem["request_id"]
        status, problem = await site.call(
            await site.person("customer"),
            "POST",
            "/api/customer/pairing",
            json={"tier_id": "no-such-tier", "topic": "x", "sensitivity": "normal"},
        )
        assert (status, problem["code"]) == (422, "tier_unknown")


@pytest.mark.req("PA-04")
async def test_cancel_frees_everyone_at_once(world: World) -> None:
    """A cancel withdraws the offers, tells both sides, and may be repeated."""
    async with serving(world) as site:
        customer, mitra = await site.person("customer"), await site.mitra()
        async with site.listening(mitra) as (hers, _), site.listening(customer) as (theirs, _):
            _, request = await site.ask(customer)
            offer = await hers.next("offer")
            path = f"/api/customer/pairing/{request['request_id']}"

            status, cancelled = await site.call(customer, "DELETE", path)

            assert (status, cancelled["state"]) == (200, "cancelled")
            assert (await hers.next("offer_withdrawn"))["reason"] == "cancelled"
            await until(theirs, "cancelled")
            assert (200, cancelled) == await site.call(customer, "DELETE", path)
            status, problem = await site.accept(mitra, offer["offer_id"])
            assert (status, problem["code"]) == (410, "offer_expired")
            stranger = await site.person("customer")
            assert (await site.call(stranger, "DELETE", path))[0] == 404
            assert (await site.call(stranger, "GET", path))[0] == 404
            assert ((again := await site.ask(customer))[0], bool(again[1])) == (201, True)


@pytest.mark.req("PA-04", "PA-06")
async def test_the_wait_ends_with_a_clear_outcome(world: World) -> None:
    """Nobody answers: offers expire in time, the ring widens, and the customer is told the end."""
    async with serving(world, offer_life_seconds=0.6, ring_seconds=0.5, tick_seconds=60) as site:
        customer, mitra = await site.person("customer"), await site.mitra()
        async with site.listening(customer) as (theirs, _), site.listening(mitra) as (hers, _):
            _, request = await site.ask(customer)
            await hers.next("offer")
            late = await site.mitra()
            assert (await hers.next("offer_withdrawn"))["reason"] == "expired"
            # Her offer may be over before anybody looks; that she was asked stays in its row.
            asked: UUID = await eventually(lambda: offer_of(world, late.user_id))
            await world.let_wait_pass(UUID(request["request_id"]))

            told = await until(theirs, "expired")

        assert request["request_id"] == told["request_id"]
        status, problem = await site.accept(late, str(asked))
        assert (status, problem["code"]) == (410, "offer_expired")


async def offer_of(world: World, mitra_id: UUID) -> UUID | None:
    """Return an offer that this mitra got, whatever became of it."""
    found: UUID | None = await world.admin.fetchval(
        "SELECT id FROM pairing.offers WHERE mitra_id = $1", mitra_id
    )
    return found


@pytest.mark.req("PA-04")
async def test_a_no_widens_at_once(world: World) -> None:
    """When the only mitra asked declines, the next is asked at once, not after the ring's time."""
    async with serving(world, ring_size=1, ring_seconds=60, tick_seconds=60) as site:
        first, second = await site.mitra(), await site.mitra()
        await site.ask(await site.person("customer"))
        offers: list[dict[str, Any]] = []

        async def asked() -> bool:
            offers[:] = [*await site.offers(first), *await site.offers(second)]
            return bool(offers)

        is_asked: bool = await eventually(asked)
        assert is_asked
        mine, other = (first, second) if await site.offers(first) else (second, first)
        path = f"/api/mitra/offers/{offers[0]['offer_id']}/decline"

        status, declined = await site.call(mine, "POST", path)

        assert (status, declined["state"]) == (200, "declined")
        assert (200, declined) == await site.call(mine, "POST", path)
        await first_offer(site, other)
        assert (await site.call(other, "POST", path))[0] == 404
        status, problem = await site.accept(mine, offers[0]["offer_id"])
        assert (status, problem["code"]) == (410, "offer_expired")


@pytest.mark.req("PA-05")
async def test_a_reroute_blasts_again_by_itself(world: World, nats_url: str) -> None:
    """After reopen_request_v1 the event alone makes pairing ask the next mitra."""
    async with serving(world, nats_url=nats_url, tick_seconds=60) as site:
        customer, mitra = await site.person("customer"), await site.mitra()
        async with site.listening(customer) as (theirs, _):
            _, request = await site.ask(customer)
            offer = await first_offer(site, mitra)
            assert (await site.accept(mitra, offer["offer_id"]))[0] == 200
            await until(theirs, "matched")
            found = await world.admin.fetchval("SELECT id FROM pairing.requests")
            await pay(world, found)
            await reroute_session(world, found)
            other = await site.mitra()

            assert await reopen(world, found, mitra.user_id) == "reopened"

            assert request["request_id"] == (await until(theirs, "searching"))["request_id"]
            status, accepted = await site.accept(
                other, (await first_offer(site, other))["offer_id"]
            )
            assert (status, accepted["state"]) == (200, "active")
            status, problem = await site.accept(mitra, offer["offer_id"])
            assert (status, problem["code"]) == (410, "offer_expired")


@pytest.mark.req("PA-03", "PA-06")
async def test_two_replicas_tell_each_other(world: World, nats_url: str) -> None:
    """A socket held by one replica hears what was done at the other."""
    async with (
        serving(world, nats_url=nats_url) as here,
        serving(world, nats_url=nats_url) as there,
    ):
        customer, mitra = await here.person("customer"), await here.mitra()
        async with there.listening(mitra) as (hers, _), there.listening(customer) as (theirs, _):
            await here.ask(customer)
            offer = await hers.next("offer")
            status, _ = await here.accept(mitra, offer["offer_id"])
            assert status == 200

            assert (await hers.next("offer_withdrawn"))["reason"] == "accepted"
            await until(theirs, "matched")


@pytest.mark.req("SW-04")
async def test_the_sweeper_may_settle_what_is_due(
    world: World, nats_url: str, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """settle_due ends what has passed, ignores what it does not know, and is idempotent."""
    # Our own loop would be faster than the command.
    monkeypatch.setattr(Jobs, "keep_deadlines", lambda _jobs: asyncio.Event().wait())
    bus = await Bus.connect(nats_url, name="sweeper", runner=runner)
    async with serving(world, nats_url=nats_url, tick_seconds=3600):
        request, blast = await world.offered(await world.mitra())
        await world.let_wait_pass(request.id)
        command = SettleDue(
            items=[
                DueItem(kind="request", id=request.id),
                DueItem(kind="offer", id=blast.offers[0].id),
                DueItem(kind="ring", id=request.id),
                DueItem(kind="something_new", id=new_id()),
            ]
        )

        async def ask() -> bytes:
            return await bus.request("cmd.pairing.settle_due.v1", command, timeout=20)

        await eventually(lambda: bus.up)
        assert await ask() == b'{"settled":1}'
        assert await ask() == b'{"settled":0}'


@pytest.mark.req("AU-11", "PA-02")
async def test_events_withdraw_the_offers_of_whoever_is_gone(
    world: World, nats_url: str, runner: Runner
) -> None:
    """mitra_deactivated and mitra_offline take her offers off her screen."""
    bus = await Bus.connect(nats_url, name="neighbour", runner=runner)
    await eventually(lambda: bus.up)
    async with serving(world, nats_url=nats_url) as site:
        for subject in ("evt.auth.mitra_deactivated.v1", "evt.availability.mitra_offline.v1"):
            mitra = await site.mitra()
            async with site.listening(mitra) as (hers, _):
                await site.ask(await site.person("customer"))
                await hers.next("offer")
                if "auth" in subject:
                    await world.deactivate(mitra.user_id)
                else:
                    await world.go_offline(mitra.user_id)
                body = f'{{"mitra_id": "{mitra.user_id}", "new_field": 1}}'.encode()
                await bus.publish_event(id=new_id(), subject=subject, body=body, headers={})

                gone = await hers.next("offer_withdrawn")

            assert subject.split(".")[2] == gone["reason"]


@pytest.mark.req("CC-06", "PA-07")
async def test_operators_read_the_record(world: World) -> None:
    """Operators list requests and read who was asked and why; others may not."""
    async with serving(world) as site:
        customer, mitra = await site.person("customer"), await site.mitra()
        operator = await site.person("operator")
        _, request = await site.ask(customer)
        await first_offer(site, mitra)

        status, page = await site.call(operator, "GET", "/api/control/pairing/requests?limit=1")
        assert (200, request["request_id"]) == (status, page["items"][0]["request_id"])
        path = f"/api/control/pairing/requests/{request['request_id']}"
        status, record = await site.call(operator, "GET", path)
        assert status == 200
        assert [offer["state"] for offer in record["offers"]] == ["open"]
        assert [decision["verdict"] for decision in record["decisions"]] == ["offered"]
        assert (await site.call(customer, "GET", path))[0] == 403
        assert (await site.call(customer, "GET", "/api/mitra/offers"))[0] == 403
        missing = "/api/control/pairing/requests/" + str(new_id())
        assert (await site.call(operator, "GET", missing))[0] == 404


async def test_malformed_hints_do_no_harm(world: World, nats_url: str, runner: Runner) -> None:
    """A hint nobody can read is logged, and the next one is heard."""
    bus = await Bus.connect(nats_url, name="noise", runner=runner)
    await eventually(lambda: bus.up)
    async with serving(world, nats_url=nats_url) as site:
        customer = await site.person("customer")
        async with site.listening(customer) as (theirs, _):
            await site.ask(customer)
            (request_id,) = [
                row["id"] for row in await world.admin.fetch("SELECT id FROM pairing.requests")
            ]
            await until(theirs, "searching")
            for subject in (RequestOpened.subject, "rt.availability.beacon"):
                bus.tell(subject, b"{not json")
            bus.tell("rt.availability.beacon", b'{"state": "all_busy", "count": 0, "more": 1}')

            assert (await theirs.next("beacon"))["state"] == "all_busy"
            body = f'{{"request_id": "{request_id}", "customer_id": "{customer.user_id}"}}'
            bus.tell(RequestOpened.subject, body.encode())
            await until(theirs, "searching")
