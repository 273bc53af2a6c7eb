"""The stores on real Postgres, beside the real functions of chat, auth and availability."""

import json

import asyncpg
import pytest
from services.pairing.tests.world import TIER, World, all_of

from common.ids import new_id
from pairing import errors
from pairing.domain import IdempotencyKey, Wish
from pairing.store.rows import QUERIES


async def test_every_query_fits_the_schema(world: World) -> None:
    """Each named query prepares against the migrated schema, as the service's own role."""
    async with world.database.connect("pairing") as connection:
        for name, text in QUERIES.items():
            try:
                await connection.prepare(text)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {error}")


@pytest.mark.req("PA-01")
async def test_a_request_freezes_its_tier(world: World) -> None:
    """The tier's version, length and price stand in the request whatever happens to the tier."""
    request = await world.request()

    assert (
        request.tier.tier_id,
        request.tier.version,
        request.tier.duration_seconds,
        request.tier.price_idr,
    ) == (TIER, 1, 900, 15000)
    assert request.state == "searching"
    # One statement makes both, but it may have been stopped between the two.
    assert abs((request.wait_until - request.created_at).total_seconds() - 120) < 20


@pytest.mark.req("PA-01")
async def test_one_open_request_per_customer(world: World) -> None:
    """Ten parallel wishes of one customer open one request."""
    customer = new_id()
    tier = await world.requests.offered_tier(TIER)
    assert tier is not None
    wish = Wish(customer, TIER, "work", "normal")

    made = await all_of(
        *(
            world.requests.open_request(wish, tier=tier, wait_seconds=60, key=None)
            for _ in range(10)
        )
    )

    assert [one is None for one in made].count(False) == 1
    assert await world.requests.open_request_of(customer) is not None


@pytest.mark.req("PA-01")
async def test_a_key_makes_one_request(world: World) -> None:
    """Ten parallel calls with one Idempotency-Key make one request, found again by its key."""
    customer = new_id()
    tier = await world.requests.offered_tier(TIER)
    assert tier is not None
    wish = Wish(customer, TIER, "work", "normal")
    key = IdempotencyKey("k-1", b"body")

    made = await all_of(
        *(world.requests.open_request(wish, tier=tier, wait_seconds=60, key=key) for _ in range(10))
    )

    (request,) = [one for one in made if one is not None]
    assert await world.requests.made_with(customer, key) == (request, True)
    other = await world.requests.made_with(customer, IdempotencyKey("k-1", b"other"))
    assert other == (request, False)
    assert len(await world.events("evt.pairing.request_opened.v1")) == 1


@pytest.mark.req("PA-03")
async def test_the_winner_gets_a_session_in_the_same_commit(world: World) -> None:
    """Claim, session, withdrawals and event are one commit."""
    winner, loser = await world.mitras(2)
    request, blast = await world.offered(winner, loser)

    accepted = await world.offers.claim(blast.offers[0].id, winner)

    assert accepted is not None
    row = await world.admin.fetchrow(
        "SELECT request_id, mitra_id, state, price_idr FROM chat.sessions WHERE id = $1",
        accepted.session_id,
    )
    assert row is not None
    assert (request.id, winner, "pending_payment", 15000) == tuple(row)
    assert await world.offer_states(request.id) == ["accepted", "withdrawn"]
    assert [loser] == [one.mitra_id for one in accepted.withdrawn]
    (event,) = await world.events("evt.pairing.request_matched.v1")
    assert str(accepted.session_id) == json.loads(event)["session_id"]
    found = await world.requests.request(request.id)
    assert found is not None
    assert ("matched", winner, accepted.session_id) == (
        found.state,
        found.mitra_id,
        found.session_id,
    )


@pytest.mark.req("PA-03")
async def test_a_full_mitra_takes_nothing(world: World) -> None:
    """A mitra without a free slot is refused, and the request searches on as if nothing was."""
    mitra = await world.mitra(capacity=1)
    _, first = await world.offered(mitra)
    request, second = await world.offered(mitra)
    assert await world.offers.claim(first.offers[0].id, mitra)

    with pytest.raises(errors.MitraFull):
        await world.offers.claim(second.offers[0].id, mitra)

    found = await world.requests.request(request.id)
    assert found is not None
    assert found.state == "searching"
    assert await world.offer_states(request.id) == ["open"]


@pytest.mark.req("PA-03", "AU-11")
async def test_a_deactivated_mitra_takes_nothing(world: World) -> None:
    """Deactivated between offer and accept: refused, seen or not by any event."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)
    await world.deactivate(mitra)

    assert await world.offers.open_offers(mitra) == []
    with pytest.raises(errors.MitraInactive):
        await world.offers.claim(blast.offers[0].id, mitra)

    assert await world.offer_states(request.id) == ["open"]
