"""G8-G11: the mirror's questions and its upkeep, at three sizes side by side."""

import asyncio
from pathlib import Path
from typing import Final
from unittest import mock

from tests.bench.crowd import Crowd, Hall
from tests.bench.inner import on_the_tested_core
from tests.bench.lines import Line
from tests.bench.questions import measure_questions
from tests.bench.rig import Rig
from tests.bench.upkeep import measure_upkeep

from common import baseline
from temani.servers import Valkey

TITLE = "the mirror: who is available, how many, who is stale, and what a beat costs"
GOALS = ("G8", "G9", "G10", "G11")

_SIZES: Final = (1_000, 10_000, 100_000)


async def measure(rig: Rig) -> list[Line]:
    """Fill three mirrors of different size, and measure on the loop that services run on."""
    servers = {size: await _server(rig, rig.folder / f"mirror-{size}") for size in _SIZES}
    # What is late on a busy machine shows in the figures; it must not end the connection.
    with mock.patch.object(baseline, "VALKEY_SOCKET_TIMEOUT", 10.0):
        return await on_the_tested_core(rig.tested_core, lambda: _measured(rig, servers))


async def _measured(rig: Rig, servers: dict[int, Valkey]) -> list[Line]:
    halls: dict[int, Hall] = {}
    lines: list[Line] = []
    try:
        for size, server in servers.items():
            rig.say(f"filling a mirror with {size} mitras")
            halls[size] = await Hall.open(server.url, Crowd.of(size))
        if rig.wants("G8", "G9", "G11"):
            rig.say("asking")
            lines += await measure_questions(halls, rounds=rig.rounds)
        if rig.wants("G10"):
            rig.say("beating")
            pids = {size: server.pid for size, server in servers.items()}
            lines += await measure_upkeep(halls, pids, rounds=rig.rounds)
    finally:
        await asyncio.gather(*(hall.close() for hall in halls.values()))
    return lines


async def _server(rig: Rig, folder: Path) -> Valkey:
    server = Valkey(folder, max_memory="1gb")
    await server.start()
    rig.on_close(server.stop)
    rig.pin(server.pid, tested=False)
    return server
