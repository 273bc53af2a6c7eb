"""The queries on the hot path stay on their indexes when the tables have grown."""

import re
from uuid import UUID

import asyncpg
import pytest
from services.pairing.tests.world import World

from pairing.store.rows import QUERIES

SOMEBODY = UUID(int=1)
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "claim_request": (SOMEBODY, SOMEBODY),
    "finish_claim": (SOMEBODY, SOMEBODY, SOMEBODY),
    "standing": (SOMEBODY, SOMEBODY),
    "open_offers": (SOMEBODY,),
    "decline_offer": (SOMEBODY, SOMEBODY),
    "expire_offers": ([SOMEBODY],),
    "withdraw_offers_of": ([SOMEBODY], "x"),
    "withdraw_offers_of_inactive": (SOMEBODY, "x"),
    "search": (SOMEBODY,),
    "lock_ring": (SOMEBODY, 1),
    "place_offers": (SOMEBODY, 1, 1, [SOMEBODY], [], 8, 2, 25.0),
    "close_ring": (SOMEBODY, 1, 10.0, 2.0),
    "hasten_rings": ([SOMEBODY],),
    "expire_requests": ([SOMEBODY],),
    "current_request": (SOMEBODY, 600.0),
    "request_by_key": (SOMEBODY, "k"),
    "open_request_of": (SOMEBODY,),
    "seconds_to_next": (),
}


@pytest.fixture
async def grown(own_world: World) -> World:
    """A world with 20 000 settled requests and 40 000 settled offers."""
    world = own_world
    await world.admin.execute(
        "INSERT INTO pairing.requests (customer_id, state, tier_id, tier_version,"
        " duration_seconds, price_idr, topic, sensitivity, wait, wait_until, settled_at)"
        " SELECT uuidv7(), 'expired', 'chat-15', 1, 900, 15000, 'work', 'normal',"
        " interval '120 s', now(), now() FROM generate_series(1, 20000)"
    )
    await world.admin.execute(
        "INSERT INTO pairing.offers (request_id, attempt, ring, mitra_id, state, expires_at,"
        " settled_at) SELECT r.id, 1, 1, uuidv7(), 'expired', now(), now()"
        " FROM pairing.requests r, generate_series(1, 2)"
    )
    await world.admin.execute("ANALYZE pairing.requests, pairing.offers")
    return world


async def test_no_hot_query_scans_a_table(grown: World) -> None:
    """None of them reads requests or offers from end to end, also with a generic plan."""
    async with grown.database.connect("pairing") as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        found = [
            name
            for name, arguments in ARGUMENTS.items()
            if await scans(connection, QUERIES[name], arguments)
        ]

    assert found == []


async def scans(connection: asyncpg.Connection, query: str, arguments: tuple[object, ...]) -> bool:
    """Say whether the plan reads requests or offers from end to end."""
    rows = await connection.fetch(f"EXPLAIN {query}", *arguments)
    plan = "\n".join(row[0] for row in rows)
    return re.search(r"Seq Scan on (requests|offers)", plan) is not None
