"""Two sweepers in the whole product: the one that slept speaks too late, and nobody heeds it."""

import asyncio

import pytest
from tests.chaos.drill import Drill
from tests.chaos.fleet import Fleet, LiveMitra, sign_in_mitra
from tests.chaos.late import MARK_OFFLINE, REPLICA, late_sweeper
from tests.chaos.looking import available, counted, eventually, taken_offline, truth
from tests.e2e.person import Person

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

REFUSED = {"subject": MARK_OFFLINE, "outcome": "fence_passed"}


async def why_nothing(drill: Drill) -> str | None:
    """Return what the late sweeper noted about its pass."""
    async with truth(drill) as postgres:
        found: str | None = await postgres.fetchval(
            "SELECT skipped FROM sweeper.runs WHERE sweep = 'auto_offline' AND holder LIKE $1"
            " ORDER BY id DESC LIMIT 1",
            f"{REPLICA}:%",
        )
    return found


@pytest.mark.req("SW-01", "SW-05", "AV-05")
async def test_a_sweeper_that_slept_takes_nobody_offline(hasty: Drill, fleet: Fleet) -> None:
    """It freezes with its command on the way; another takes over, and both mitras live again.

    One beats in time, so that nobody else takes her offline; the other is taken offline by the
    new holder and comes back. Awake, the late one is refused, and hears why.
    """
    async with Person.at(fleet.customer.where) as one, Person.at(fleet.customer.where) as other:
        await asyncio.gather(*(sign_in_mitra(fleet.stack, fleet.operator, p) for p in (one, other)))
        in_time, returned = LiveMitra(one, "http"), LiveMitra(other, "http")
        before = await taken_offline(hasty)
        refused = await counted(hasty, "availability", "commands_served_total", REFUSED)

        async with late_sweeper(hasty) as late:
            in_time.live()
            await eventually(lambda: in_time.beats > 0)
            late.hand_over()

            async def taken_over() -> bool:
                return await taken_offline(hasty) == before | {returned.mitra_id}

            await eventually(taken_over)
            await other.call("POST", "/api/mitra/status/online")
            returned.live()
            await eventually(lambda: available(fleet, [in_time, returned]))

            late.speak()

            async def told() -> bool:
                reason = await why_nothing(hasty)
                return reason is not None and reason.endswith("answered fence_passed")

            async def counted_once() -> bool:
                found = await counted(hasty, "availability", "commands_served_total", REFUSED)
                return found == refused + 1

            await eventually(told)
            await eventually(counted_once)  # after the answer has gone out
            assert await available(fleet, [in_time, returned])
            assert await taken_offline(hasty) == before | {returned.mitra_id}
        await asyncio.gather(in_time.stop(), returned.stop())
        for person in (one, other):
            await person.call("POST", "/api/mitra/status/offline")
    assert in_time.told_offline == returned.told_offline == []
