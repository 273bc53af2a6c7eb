"""The whole product while Valkey dies in every way: nobody hears "nobody", and nobody is lost.

Twelve mitras live on their beats and a customer looks at the beacon twenty times a second; the
limits are the shortest that settings allow (stale after 5.7 s, taken offline after 6.1 s).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.chaos.drill import Drill
from tests.chaos.fleet import Fleet
from tests.chaos.looking import available, eventually, finds_somebody, mirror, taken_offline
from tests.clocked import ClockedValkey, libfaketime

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

# Less than Valkey is frozen: no answer waited for it.
FROZEN_SECONDS, PATIENCE_SECONDS = 6.5, 6.0
MINUTES = 7 * 60
MIRROR_KEYS = ("online", "available", "deactivated", "load", "versions", "seed")


async def kill_valkey(drill: Drill) -> None:
    """Killed; two seconds later it runs again and knows nothing."""
    await drill.valkey.kill()
    await asyncio.sleep(1)
    await drill.valkey.start()


async def freeze_valkey(drill: Drill) -> None:
    """Frozen until every beat it knows is older than the fresh limit, then thawed."""
    drill.valkey.freeze()
    await asyncio.sleep(FROZEN_SECONDS)
    drill.valkey.thaw()


async def empty_valkey(drill: Drill) -> None:
    """Emptied again and again, at any moment of a reseed."""
    async with mirror(drill) as client:
        for _ in range(12):
            await client.flushall()
            await asyncio.sleep(random.uniform(0.05, 0.25))


async def evict_from_valkey(drill: Drill) -> None:
    """Too little memory under a policy that evicts: keys of the mirror go, one by one."""
    async with mirror(drill) as client:
        await client.config_set("maxmemory-policy", "allkeys-random")
        used = int((await client.info("memory"))["used_memory"])
        await client.config_set("maxmemory", str(used + 200_000))
        try:
            for number in range(600):
                await client.set(f"{{junk}}:{number}", "x" * 2000)
            evicted = int((await client.info("stats"))["evicted_keys"])
            await asyncio.sleep(1)
        finally:
            await client.config_set("maxmemory-policy", "noeviction")
            await client.config_set("maxmemory", "256mb")
    assert evicted > 0


async def lose_each_key(drill: Drill) -> None:
    """One key after the other is gone, as after an eviction or a wrong command."""
    async with mirror(drill) as client:
        for key in MIRROR_KEYS:
            await client.delete(f"{{mitras}}:{key}")
            await asyncio.sleep(0.3)


async def turn_valkeys_clock(drill: Drill) -> None:
    """Its clock jumps seven minutes ahead, and back to the right time."""
    if not isinstance(drill.valkey, ClockedValkey):
        await asyncio.to_thread(libfaketime)  # says why there is none
        pytest.fail("libfaketime came too late for the servers of this run")
    for seconds in (MINUTES, 0):
        await drill.valkey.turn(seconds)
        await asyncio.sleep(2)  # four passes of auto-offline


@pytest.mark.req("AV-07", "AV-08", "AV-09", "AV-11", "SW-01")
@pytest.mark.parametrize(
    "fault",
    [
        kill_valkey,
        freeze_valkey,
        empty_valkey,
        evict_from_valkey,
        lose_each_key,
        turn_valkeys_clock,
    ],
)
async def test_nobody_is_told_that_nobody_is_there(
    hasty: Drill, fleet: Fleet, fault: Callable[[Drill], Awaitable[None]]
) -> None:
    """Twelve are there while Valkey dies: no answer says otherwise, none is late or an error."""
    await eventually(lambda: available(fleet, fleet.mitras))
    fleet.forget_words()
    before = await taken_offline(hasty)
    async with fleet.watch.looking() as watch:
        breaking = asyncio.ensure_future(fault(hasty))
        try:
            await asyncio.sleep(0.3)
            await finds_somebody(hasty, fleet)
        finally:
            await breaking

        async def mirrored() -> bool:
            path = "/api/control/availability/summary"
            return bool((await fleet.operator.call("GET", path))["source"] == "mirror")

        await eventually(mirrored)
        looks = watch.looks
        await eventually(lambda: watch.looks > looks + 20)

    assert watch.wrong == []
    assert watch.refused == {}
    assert watch.slowest < PATIENCE_SECONDS
    assert fleet.words() == {}
    assert await taken_offline(hasty) == before
