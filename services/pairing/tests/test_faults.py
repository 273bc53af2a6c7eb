"""Neighbours that are away, frozen or stale: slower, never wrong."""

import asyncio
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from services.pairing.tests.site import serving
from services.pairing.tests.test_app import first_offer, until
from services.pairing.tests.world import World

from common import baseline
from common.testing import Proxy, eventually


def through(url: str, proxy: Proxy) -> str:
    """Return the address with the proxy's port."""
    return urlunsplit(urlsplit(url)._replace(netloc=f"127.0.0.1:{proxy.port}"))


@pytest.mark.req("PA-02", "PA-03", "AV-07")
@pytest.mark.fault
async def test_frozen_nats_and_valkey(
    world: World, nats_url: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NATS and Valkey frozen under it a running replica still pairs, beats included."""
    monkeypatch.setattr(baseline, "PUBLISH_TIMEOUT", 60)
    async with (
        Proxy(urlsplit(nats_url).port or 0) as nats,
        Proxy(urlsplit(valkey_url).port or 0) as valkey,
        serving(
            world, nats_url=through(nats_url, nats), valkey_url=through(valkey_url, valkey)
        ) as site,
    ):
        customer, mitra = await site.person("customer"), await site.mitra()
        async with site.listening(customer) as (theirs, _), site.listening(mitra) as (hers, _):
            nats.blackhole()
            valkey.blackhole()

            await site.ask(customer)
            offer = await hers.next("offer")
            # Nobody who waits for NATS comes back in this time: here it is given 60 s to answer.
            async with asyncio.timeout(20):
                status, _ = await site.accept(mitra, offer["offer_id"])
            await until(theirs, "matched")
            await hers.say("beat")
            ack = await hers.next("beat_ack")

            nats.heal()
            valkey.heal()

        assert (status, ack) == (200, {"is_online": True})


@pytest.mark.req("AV-05")
async def test_no_offer_goes_to_a_stale_mitra(world: World) -> None:
    """A mitra whose last heartbeat is older than the limit is not asked; the fresh one is."""
    async with serving(world, fresh_limit_seconds=45) as site:
        stale, fresh = await site.mitra(), await site.mitra()
        await world.admin.execute(
            "UPDATE availability.mitra_status"
            " SET last_heartbeat_at = clock_timestamp() - $2::interval WHERE mitra_id = $1",
            stale.user_id,
            timedelta(seconds=46),
        )

        await site.ask(await site.person("customer"))

        await first_offer(site, fresh)
        assert await site.offers(stale) == []


@pytest.mark.req("PA-04")
async def test_somebody_who_comes_online_is_asked_soon(world: World) -> None:
    """A search that found nobody asks whoever comes online, well before a ring's time."""
    async with serving(world, ring_seconds=60, tick_seconds=60, empty_ring_seconds=0.3) as site:
        await site.ask(await site.person("customer"))
        requests = await world.admin.fetch("SELECT id FROM pairing.requests")
        assert len(requests) == 1

        mitra = await site.mitra()

        await first_offer(site, mitra)


@pytest.mark.req("SW-04", "CH-11")
@pytest.mark.fault
async def test_five_hundred_overdue_are_settled_on_boot(world: World) -> None:
    """A replica that starts on 500 overdue requests ends each once, before its first tick."""
    await world.admin.execute(
        "INSERT INTO pairing.requests (customer_id, tier_id, tier_version, duration_seconds,"
        " price_idr, topic, sensitivity, wait, wait_until, next_ring_at)"
        " SELECT uuidv7(), 'chat-15', 1, 900, 15000, 'work', 'normal', interval '1 s',"
        " clock_timestamp(), clock_timestamp() FROM generate_series(1, 500)"
    )
    async with serving(world, tick_seconds=600):

        async def left() -> bool:
            count = await world.admin.fetchval(
                "SELECT count(*) FROM pairing.requests WHERE state = 'searching'"
            )
            return bool(count == 0)

        done: bool = await eventually(left)

    assert done
    assert len(await world.events("evt.pairing.request_expired.v1")) == 500
