"""The whole replica over HTTP and its socket, beside the real schemas of its neighbours."""

import pytest
from services.pairing.tests.site import Site, serving
from services.pairing.tests.world import World

from common.testing import eventually


async def offered(site: Site, mitra: object) -> str:
    """Wait until the mitra has an offer; return its id."""
    found: list[dict[str, str]] = []

    async def has_offer() -> bool:
        found[:] = await site.offers(mitra)  # type: ignore[arg-type]
        return bool(found)

    await eventually(has_offer, timeout=5)
    return found[0]["offer_id"]


@pytest.mark.req("PA-01", "PA-02", "PA-03", "PA-06")
async def test_from_wish_to_session(world: World, nats_url: str) -> None:
    """A customer asks, the mitra sees the offer on her socket and accepts, both are told."""
    async with serving(world, nats_url=nats_url) as site:
        customer, mitra = await site.person("customer"), await site.mitra()
        async with (
            site.listening(customer) as (theirs, state),
            site.listening(mitra) as (hers, own),
        ):
            assert state["request"] is None
            assert state["beacon"]["state"] == "available"
            assert own["offers"] == []
            assert own["is_online"] is True

            status, request = await site.ask(customer)
            assert (status, request["state"]) == (201, "searching")

            offer = await hers.next("offer")
            assert request["request_id"] == offer["request_id"]
            status, accepted = await site.accept(mitra, offer["offer_id"])
            assert (status, accepted["state"]) == (200, "pending_payment")

            gone = await hers.next("offer_withdrawn")
            assert (offer["offer_id"], "accepted") == (gone["offer_id"], gone["reason"])
            while (told := await theirs.next("request"))["state"] != "matched":
                pass
            assert accepted["session_id"] == told["session_id"]
            assert str(mitra.user_id) == told["mitra"]["mitra_id"]

            again = await site.accept(mitra, offer["offer_id"])
            assert (200, accepted) == again
