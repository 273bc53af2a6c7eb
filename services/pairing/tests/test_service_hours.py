"""A closed service, as customers and mitras meet it in a whole replica."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from services.pairing.tests.site import Ear, Site, serving
from services.pairing.tests.test_app import first_offer
from services.pairing.tests.world import World

from common.testing import FakeClock, eventually
from mirror import Counts, MirrorKit
from pairing.providers.presence import MirrorPresence


@pytest.fixture(params=["with_neighbours", "alone"])
def servers(request: pytest.FixtureRequest, nats_url: str, valkey_url: str) -> dict[str, str]:
    """With NATS and Valkey there, and with neither."""
    return {} if request.param == "alone" else {"nats_url": nats_url, "valkey_url": valkey_url}


async def state_of(site: Site) -> str:
    """Return the beacon's state as a customer who looks now sees it."""
    async with site.listening(await site.person("customer")) as (_, state):
        return str(state["beacon"]["state"])


async def beacon(ear: Ear, *, disabled: bool) -> dict[str, Any]:
    """Return the next beacon that tells a closed service, or an open one."""
    while ((told := await ear.next("beacon"))["state"] == "disabled") != disabled:
        pass
    return told


@pytest.mark.req("AV-11", "AV-16")
async def test_closing_and_opening_reach_open_sockets(
    world: World, servers: dict[str, str]
) -> None:
    """Nobody tells it: each replica reads the plan; reopening by the clock is nobody's act."""
    async with serving(world, **servers) as site:
        await site.mitra()
        customer = await site.person("customer")
        async with site.listening(customer) as (theirs, state):
            assert state["beacon"]["state"] != "disabled"
            opens_at = datetime.now(UTC) + timedelta(hours=3)
            await world.close_service(opens_at)

            told = await beacon(theirs, disabled=True)
            assert told["why"] == "switch"
            assert datetime.fromisoformat(told["opens_at"]) == opens_at
            assert await state_of(site) == "disabled"

            await world.close_service(datetime.now(UTC) + timedelta(seconds=1))
            again = await beacon(theirs, disabled=False)
            assert (again["why"], again["opens_at"]) == (None, None)


@pytest.mark.req("AV-16")
async def test_a_new_request_is_refused_until_it_opens(
    world: World, servers: dict[str, str]
) -> None:
    """409 with the reason and the hour; a repeat of an earlier call still gets its answer."""
    async with serving(world, **servers) as site:
        early, late = await site.person("customer"), await site.person("customer")
        key = {"Idempotency-Key": "before-closing"}
        _, made = await site.ask(early, headers=key)
        opens_at = datetime.now(UTC) + timedelta(hours=3)
        await world.close_service(opens_at)

        status, problem = await site.ask(late)
        assert (status, problem["code"], problem["why"]) == (409, "service_closed", "switch")
        assert datetime.fromisoformat(problem["opens_at"]) == opens_at
        status, again = await site.ask(early, headers=key)
        assert (status, again["request_id"]) == (201, made["request_id"])
        status, problem = await site.ask(early)
        assert (status, problem["code"]) == (409, "request_open")

        opens_at = datetime.now(UTC) + timedelta(seconds=1)
        await world.close_service(opens_at)

        async def taken() -> bool:
            status, _ = await site.ask(late)
            return status == 201

        assert await eventually(taken)
        assert datetime.now(UTC) >= opens_at


def refused(reason: str) -> float:
    """Return how many requests this process refused because the service was closed."""
    name = "pairing_requests_refused_closed_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.mark.req("AV-16")
@pytest.mark.parametrize("reason", ["switch", "hours"])
async def test_refusals_are_counted_by_their_reason(world: World, reason: str) -> None:
    """The metric tells the switch from the hours; a repeated refusal counts again."""
    async with serving(world) as site:
        if reason == "switch":
            await world.close_service()
        else:
            await world.close_by_hours()
        before, customer = refused(reason), await site.person("customer")

        for _ in range(2):
            _, problem = await site.ask(customer)
            assert (problem["code"], problem["why"]) == ("service_closed", reason)

        assert refused(reason) == before + 2
        async with site.client.get(f"{site.url}/metrics") as answer:
            assert f'refused_closed_total{{reason="{reason}"}}' in await answer.text()


@pytest.mark.req("AV-16")
async def test_a_request_under_way_becomes_a_session_while_it_is_closed(world: World) -> None:
    """Its ring goes out, its offer is seen and accepted; nobody's status row has changed."""
    async with serving(world) as site:
        customer = await site.person("customer")
        _, request = await site.ask(customer)
        await world.close_service()
        mitra = await site.mitra()
        before = await world.admin.fetch("SELECT * FROM availability.mitra_status")

        offer = await first_offer(site, mitra)
        status, accepted = await site.accept(mitra, offer["offer_id"])

        assert (status, accepted["request_id"]) == (200, request["request_id"])
        assert before == await world.admin.fetch("SELECT * FROM availability.mitra_status")


@pytest.mark.req("AV-16")
async def test_a_crowd_at_closing_time_is_sorted_by_postgres(world: World) -> None:
    """Whoever asks while it closes is taken or refused; after it nobody is, in any replica."""
    async with serving(world) as one, serving(world) as other:
        people = [await one.person("customer") for _ in range(20)]
        asking = [
            asyncio.ensure_future((one, other)[place % 2].ask(person))
            for place, person in enumerate(people)
        ]
        await world.close_service()
        late = [await site.ask(await site.person("customer")) for site in (one, other)]
        early = await asyncio.gather(*asking)

        assert [status for status, _ in late] == [409, 409]
        assert {status for status, _ in early} <= {201, 409}
        count = await world.admin.fetchval("SELECT count(*) FROM pairing.requests")
        assert count == sum(status == 201 for status, _ in early)


class Told:
    """A mirror that keeps what was told last, and counts."""

    def __init__(self, state: str) -> None:
        self.mirror = self.presence = self
        self.state = state

    async def snapshot(self, *, max_age_seconds: float) -> bytes:
        """Return what was told."""
        assert max_age_seconds == 4
        return b'{"state": "%s", "count": 3, "as_of": "2026-03-01T00:00:00Z"}' % self.state.encode()

    async def counts(self) -> Counts:
        """Count."""
        return Counts(2, 2, 1, source="mirror")


@pytest.mark.req("AV-11", "AV-16")
async def test_what_was_told_of_a_closed_service_does_not_outlive_it() -> None:
    """It opens, and the last word was still "disabled": those who are there are counted."""
    for state, expected in (("available", ("available", 3)), ("disabled", ("available", 1))):
        presence = MirrorPresence(cast("MirrorKit", Told(state)), clock=FakeClock())
        beacon = await presence.beacon(max_age_seconds=4)
        assert (beacon.state, beacon.count) == expected
