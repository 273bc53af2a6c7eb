"""Looks into a stack whose parts die: by Postgres, an operator's pages, a customer's wish."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import valkey.asyncio as valkey_client
from prometheus_client.parser import text_string_to_metric_families
from tests.chaos.drill import Drill
from tests.chaos.fleet import Fleet, LiveMitra
from tests.e2e.person import Person, Where

from common.testing import waiting
from temani import layout

T = TypeVar("T")
_PAUSE_SECONDS = 0.1


async def eventually(
    predicate: Callable[[], Awaitable[T] | T],
    timeout: float = 30.0,  # noqa: ASYNC109 - a test's patience, never what it measures
) -> T:
    """Wait as `waiting.eventually` does, but look ten times a second at most.

    A look from outside is work for the whole product: more of them slow down what they wait for.
    """

    async def unhurried() -> T:
        began = time.monotonic()
        seen: T | None = None
        try:
            found = predicate()
            seen = await found if inspect.isawaitable(found) else found
        finally:
            if not seen:
                await asyncio.sleep(began + _PAUSE_SECONDS - time.monotonic())
        return seen

    return await waiting.eventually(unhurried, timeout)


@contextlib.asynccontextmanager
async def truth(drill: Drill) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Look into Postgres."""
    connection = await asyncpg.connect(drill.postgres.database_url(layout.DATABASE))
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def mirror(drill: Drill) -> AsyncIterator[valkey_client.Valkey]:
    """Look into Valkey."""
    client = valkey_client.Valkey.from_url(drill.valkey.url)
    try:
        yield client
    finally:
        await client.aclose()


async def taken_offline(drill: Drill) -> set[str]:
    """Return everybody whom auto-offline ever took offline."""
    async with truth(drill) as postgres:
        rows = await postgres.fetch(
            "SELECT mitra_id FROM availability.online_intervals WHERE end_reason = 'auto_offline'"
        )
    return {str(row["mitra_id"]) for row in rows}


async def available(fleet: Fleet, mitras: list[LiveMitra]) -> bool:
    """Whether all of these are available, as operators see it; names those who are not."""
    roster = await fleet.roster()
    missing = [(one.way, roster[one.mitra_id]) for one in mitras]
    missing = [(way, row) for way, row in missing if not row["available"]]
    assert not missing, missing
    return True


async def seen(drill: Drill, service: str, dependency: str, *, up: bool) -> bool:
    """Whether operators see in /statusz that a dependency is up or down."""
    url = drill.stack.state.replicas[service][0]
    client = Where(url, url)
    async with Person.at(client) as somebody, somebody.http.get(f"{url}/statusz") as answer:
        status: dict[str, Any] = await answer.json()
    return bool(status["dependencies"][dependency]["up"]) is up


async def counted(drill: Drill, service: str, metric: str, labels: dict[str, str]) -> float:
    """Return what a service's metrics say of one counter; 0 before its first event."""
    url = drill.stack.state.replicas[service][0]
    async with Person.at(Where(url, url)) as somebody, somebody.http.get(f"{url}/metrics") as page:
        families = text_string_to_metric_families(await page.text())
    samples = (sample for family in families for sample in family.samples)
    return sum(one.value for one in samples if (one.name, one.labels) == (metric, labels))


async def finds_somebody(drill: Drill, fleet: Fleet) -> None:
    """A customer asks and mitras are found at once; then the wish is taken back."""
    request = await fleet.customer.call(
        "POST",
        "/api/customer/pairing",
        {"tier_id": fleet.stack.tier(seconds=8), "topic": "work", "sensitivity": "normal"},
        {"Idempotency-Key": str(uuid4())},
    )
    async with truth(drill) as postgres:

        async def offered() -> int:
            query = "SELECT count(*) FROM pairing.offers WHERE request_id = $1"
            return int(await postgres.fetchval(query, request["request_id"]))

        await eventually(offered)
    await fleet.customer.call("DELETE", f"/api/customer/pairing/{request['request_id']}")
