"""The whole product while NATS, the edge or Postgres die and come back: the living stay online.

Twelve mitras live on their beats, eight of them over a socket only; the limits are the shortest
that settings allow (stale after 5.7 s, taken offline after 6.1 s).
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from tests.chaos.drill import Drill
from tests.chaos.fleet import PAIRING, Fleet, LiveMitra, sign_in_mitra
from tests.chaos.looking import (
    available,
    eventually,
    finds_somebody,
    seen,
    taken_offline,
    truth,
)
from tests.chaos.standby import Standby
from tests.e2e.person import Person, Refused

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

NATS_AWAY_SECONDS = 3 * 6.1
# Longer than anybody may be silent (6.1 s), and a silence of everybody (10 s) in its own right.
EDGE_AWAY_SECONDS = 10.5
# Longer than anybody may be silent.
POSTGRES_FROZEN_SECONDS = 6.5
OLDEST_BEAT = """
    SELECT extract(epoch FROM max(clock_timestamp() - last_heartbeat_at))
    FROM availability.mitra_status WHERE mitra_id = ANY ($1::uuid[])
"""


def beaten_since(fleet: Fleet, beats: dict[str, int], *, times: int) -> bool:
    """Whether everybody's beats were answered so many times more."""
    return all(one.beats >= beats[one.mitra_id] + times for one in fleet.mitras)


@pytest.mark.req("AV-04", "SW-01", "AV-05")
async def test_nats_away_for_three_limits_takes_nobody_offline(hasty: Drill, fleet: Fleet) -> None:
    """NATS is dead for 18 s: whoever holds a socket stays, before, during and after.

    One mitra fell silent: she is the one who is taken offline once commands travel again.
    """
    async with Person.at(fleet.customer.where) as quiet:
        await sign_in_mitra(fleet.stack, fleet.operator, quiet)
        silent = LiveMitra(quiet, PAIRING)
        before = await taken_offline(hasty)
        async with fleet.watch.looking() as watch:
            await hasty.nats.kill()
            await eventually(lambda: seen(hasty, "availability", "nats", up=False))
            await asyncio.sleep(NATS_AWAY_SECONDS)
            assert await available(fleet, fleet.mitras)
            await finds_somebody(hasty, fleet)
            await hasty.nats.start()
            await eventually(lambda: seen(hasty, "availability", "nats", up=True))

            async def swept() -> bool:
                return await taken_offline(hasty) == before | {silent.mitra_id}

            await eventually(swept)
            assert await available(fleet, fleet.mitras)

    assert (watch.wrong, watch.refused) == ([], {})
    assert fleet.words() == {}


@pytest.mark.req("AV-03", "AV-04", "SW-01")
async def test_a_frozen_postgres_costs_nobody_a_beat(hasty: Drill, fleet: Fleet) -> None:
    """It hangs for longer than anybody may be silent: no call fails, no socket closes.

    Thawed, its copy of every beat is too old at first; what the mirror heard is written down.
    """
    await eventually(lambda: available(fleet, fleet.mitras))
    fleet.forget_words()
    before = await taken_offline(hasty)
    async with fleet.watch.looking() as watch:
        hasty.postgres.freeze()
        try:
            beats = {one.mitra_id: one.beats for one in fleet.mitras}
            broken = {one.mitra_id: one.broken for one in fleet.mitras}
            await asyncio.sleep(POSTGRES_FROZEN_SECONDS)
            await eventually(lambda: seen(hasty, "availability", "postgres", up=False))
            await eventually(lambda: beaten_since(fleet, beats, times=5))
        finally:
            hasty.postgres.thaw()

    assert {one.mitra_id: one.broken for one in fleet.mitras} == broken
    assert (watch.wrong, watch.refused) == ([], {})

    async def written_down() -> bool:
        async with truth(hasty) as postgres:
            oldest = await postgres.fetchval(OLDEST_BEAT, [one.mitra_id for one in fleet.mitras])
        return float(oldest) < POSTGRES_FROZEN_SECONDS / 2

    await eventually(written_down)
    assert await available(fleet, fleet.mitras)
    assert fleet.words() == {}
    assert await taken_offline(hasty) == before


async def lose_the_edge(drill: Drill, _fleet: Fleet, _folder: Path) -> set[str]:
    """The gateway hangs, so that nobody is heard; then it dies with every socket."""
    os.kill(drill.stack.state.parts["gateway"].pid, signal.SIGSTOP)
    await asyncio.sleep(EDGE_AWAY_SECONDS)
    drill.kill_service("gateway")
    return set()


async def fail_over_postgres(drill: Drill, fleet: Fleet, folder: Path) -> set[str]:
    """The primary dies; a copy of a moment ago takes over, and the runbook bumps the epoch.

    One mitra went offline after the copy: that is lost, though the mirror knows later versions of
    her than the new history does. She is returned.
    """
    standby = Standby(folder / "standby", drill.postgres)
    await standby.copy()
    ahead = fleet.mitras[0]
    for wish in ("offline", "online", "offline", "online", "offline"):
        await ahead.person.call("POST", f"/api/mitra/status/{wish}")
    await drill.postgres.kill()
    drill.postgres = standby
    await standby.start()
    async with truth(drill) as postgres:
        await postgres.execute("SELECT availability.bump_pg_epoch('promotion')")
    return {ahead.mitra_id}


@pytest.mark.req("AV-09", "SW-01", "OP-12")
@pytest.mark.parametrize("recovery", [lose_the_edge, fail_over_postgres])
async def test_no_recovery_takes_the_living_offline(
    hasty: Drill,
    fleet: Fleet,
    scratch: Path,
    recovery: Callable[[Drill, Fleet, Path], Awaitable[set[str]]],
) -> None:
    """Apps lose their calls and sockets and come back: all of them are still online."""
    fleet.forget_words()
    before = await taken_offline(hasty)
    rewound = await recovery(hasty, fleet, scratch)
    beats = {one.mitra_id: one.beats for one in fleet.mitras}

    async def back() -> bool:
        with contextlib.suppress(Refused, OSError, aiohttp.ClientError):
            return await available(fleet, fleet.mitras)
        return False

    await eventually(back)
    await eventually(lambda: beaten_since(fleet, beats, times=8))
    assert await available(fleet, fleet.mitras)
    assert fleet.words().keys() <= rewound
    assert await taken_offline(hasty) == before
