"""Beside a neighbour's release that does not publish yet what this one asks for."""

import pytest
from services.pairing.tests.site import serving
from services.pairing.tests.world import World


@pytest.mark.req("OP-04", "AV-16")
async def test_before_availability_has_a_plan_requests_are_taken(world: World) -> None:
    """Pairing may be deployed first: it takes requests at any hour, and starts."""
    await world.admin.execute(
        "ALTER FUNCTION availability.service_plan_v1() RENAME TO not_there_yet"
    )
    try:
        async with serving(world) as site:
            status, _ = await site.ask(await site.person("customer"))
    finally:
        await world.admin.execute(
            "ALTER FUNCTION availability.not_there_yet() RENAME TO service_plan_v1"
        )

    assert status == 201
