"""G12: how soon a change of load is in the mirror, alone and in a flood."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final
from unittest import mock

import asyncpg
from tests.bench.crowd import Original
from tests.bench.floods import Ground, product_flood, product_paced
from tests.bench.inner import freeze, on_the_tested_core
from tests.bench.lines import Line, effect
from tests.bench.measure import median, paired, percentile, ratio, spread
from tests.bench.one_by_one import core_flood, core_paced, core_together, stream_flood
from tests.bench.rig import Rig
from tests.bench.sessions import settle
from tests.support import TestDatabase

from common import baseline
from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from mirror import Limits, open_mirror

TITLE = "from a session's event to the mirror"

_DIRTY: Final = 100
_PER_SECOND: Final = 300.0
_PACED: Final = 900
_LATE_MS: Final = 5.0
_BUSY_MS: Final = 3.0  # of the most direct way, which takes 1.6 ms on a quiet machine

PRODUCT, STREAM = "the subscription", "JetStream, one by one"
TOGETHER_CORE, CORE = "the handler behind core", "core, one by one"
TOGETHER, SINGLY = "together", "singly"


async def measure(rig: Rig) -> list[Line]:
    """Hear floods and a steady flow, on the loop that services run on."""
    database = await rig.database("auth", "chat", "availability")
    nats_url, valkey_url = (await rig.nats()).url, (await rig.valkey()).url
    # What is late on a busy machine shows in the figures; it must not end the connection.
    with mock.patch.object(baseline, "VALKEY_SOCKET_TIMEOUT", 10.0):
        return await on_the_tested_core(
            rig.tested_core, lambda: _measured(rig, database, nats_url, valkey_url)
        )


async def _measured(rig: Rig, database: TestDatabase, nats_url: str, valkey_url: str) -> list[Line]:
    rig.say("filling sessions")
    mitras = await settle(database)
    runner = Runner()
    db = await Database.connect(database.url("availability"), name="bench", max_size=10)
    admin = await asyncpg.connect(database.admin_url)
    kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
    original = await Original.open(valkey_url)
    try:
        await kit.seeder.reseed("bench")
        ground = Ground(nats_url, mitras, db, kit, original, admin)
        freeze()
        return [
            *await _recompute(rig, ground),
            *await _floods(rig, ground),
            *await _paced(rig, ground),
        ]
    finally:
        await runner.stop(budget=2)
        original.wire.abort("done")
        await asyncio.gather(admin.close(), db.close())


async def _recompute(rig: Rig, ground: Ground) -> list[Line]:
    loads = ground.loads(ground.shown())

    async def together() -> float:
        return await _timed(lambda: loads.changed(random.sample(ground.mitras, _DIRTY)))

    async def singly() -> float:
        async def each() -> None:
            for mitra_id in random.sample(ground.mitras, _DIRTY):
                await loads.changed([mitra_id])

        return await _timed(each)

    times = await paired({TOGETHER: together, SINGLY: singly}, rounds=2 * rig.rounds + 1)
    ours, theirs = times[TOGETHER][1:], times[SINGLY][1:]
    note = f"{median(ours) * 1000:.1f} / {median(theirs) * 1000:.1f} ms, {spread(ours, theirs)}"
    what = f"recompute of {_DIRTY} dirty / {_DIRTY} single"
    return [Line("G12", what, ratio(ours, theirs), 0.1, note=note)]


async def _floods(rig: Rig, ground: Ground) -> list[Line]:
    rig.say("flooding")
    rates = await paired(
        {
            PRODUCT: lambda: product_flood(ground),
            TOGETHER_CORE: lambda: core_together(ground),
            CORE: lambda: core_flood(ground),
            STREAM: lambda: stream_flood(ground),
        },
        rounds=rig.rounds,
    )
    wrong = len(await ground.kit.seeder.diff())
    lines = []
    # The product hears loads through JetStream only: beside core there is no goal for all of it.
    goals = ((PRODUCT, STREAM, 3.0), (TOGETHER_CORE, CORE, 8.0), (PRODUCT, CORE, None))
    for ours, theirs, bound in goals:
        top, bottom = rates[ours], rates[theirs]
        note = f"{median(top):.0f} / {median(bottom):.0f} events/s, {spread(top, bottom)}"
        what = f"flood: {ours} / {theirs}"
        lines.append(Line("G12", what, ratio(top, bottom), bound, note=note, at_least=True))
    return [*lines, effect("G12", "loads that differ after the floods", wrong=wrong)]


async def _paced(rig: Rig, ground: Ground) -> list[Line]:
    rig.say("a steady flow")
    seconds = await paired(
        {
            PRODUCT: lambda: product_paced(ground, per_second=_PER_SECOND, count=_PACED),
            CORE: lambda: core_paced(ground, per_second=_PER_SECOND, count=_PACED),
        },
        rounds=rig.rounds,
    )
    late, direct = (
        [percentile(one, 0.99) * 1000 for one in seconds[name]] for name in (PRODUCT, CORE)
    )
    usual = median(median(one) for one in seconds[PRODUCT]) * 1000
    note = f"p50 {usual:.1f}; rounds {min(late):.1f}-{max(late):.1f}; {CORE}: {median(direct):.1f}"
    skipped = None
    if median(late) > _LATE_MS and median(direct) > _BUSY_MS:
        skipped = f"the machine is too busy: one by one takes {median(direct):.1f} ms, too"
    what = f"event to mirror, p99 at {_PER_SECOND:.0f}/s"
    return [Line("G12", what, median(late), _LATE_MS, unit="ms", note=note, skipped=skipped)]


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started
