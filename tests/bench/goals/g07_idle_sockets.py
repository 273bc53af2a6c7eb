"""G7: ten thousand sockets on one replica of chat: what each holds, and how late the loop gets."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.driving import Load, tokens_file
from tests.bench.extras import Missing, need
from tests.bench.goals.g06_socket_beat import BEAT, ONLINE
from tests.bench.lines import Line
from tests.bench.measure import percentile, rss_kib
from tests.bench.rig import Rig, python
from tests.bench.site import CHAT_PATH, MITRAS, Site, scraped

from temani import ports
from temani.process import Process

TITLE = f"{MITRAS} idle sockets"

_BEAT_EVERY_SECONDS = 20.0
_RATE = MITRAS / _BEAT_EVERY_SECONDS
_WATCHED_SECONDS = 20.0
_SETTLE_SECONDS = 2.0
_PINGS = 250.0
# Beats of the last moment are still under way when the watch ends.
_LATE_SECONDS = 0.02


async def measure(rig: Rig) -> list[Line]:
    """Open the sockets, weigh the process, then let every mitra beat at the product's pace."""
    site = await Site.of(rig)
    port = ports.free_port()
    command = [*python("tests.bench.peers.aiohttp_floor"), str(port)]
    floor = House("aiohttp, echo", await rig.start("idle-echo", command, port=port), port, "/ws")
    chat, port = await site.service("chat", replica="idle")
    product = House("product", chat, port, CHAT_PATH)
    lines = [await _weigh(site, floor, bound=None), await _weigh_picows(site)]
    load = None
    try:
        empty = rss_kib(chat.pid)
        load = await _filled(site, product)
        lines.insert(0, _weight(product, load, empty, bound=16))
        return [*lines, *await _lateness(site, product, floor, load)]
    finally:
        if load is not None:
            await load.close()
        await chat.kill()  # saying goodbye to ten thousand is no part of this


@dataclass(frozen=True, slots=True)
class House:
    """A program that holds sockets, and where."""

    name: str
    process: Process
    port: int
    path: str


async def _filled(site: Site, house: House) -> Load:
    """Open all sockets to a program and let some beat, so that nothing is left half done."""
    site.rig.say(f"opening {MITRAS} sockets: {house.name}")
    load = await Load.open(site.rig, "idle", _plan(site, house, MITRAS), house.process)
    await load.pace(rate=_RATE, seconds=_SETTLE_SECONDS)
    return load


async def _weigh(site: Site, house: House, *, bound: float | None) -> Line:
    """Weigh what a program's sockets hold, and close them."""
    empty = rss_kib(house.process.pid)
    load = await _filled(site, house)
    try:
        return _weight(house, load, empty, bound=bound)
    finally:
        await load.close()


async def _weigh_picows(site: Site) -> Line:
    name = "picows"
    try:
        need("picows")
    except Missing as missing:
        return Line("G7", f"{name}: memory per idle socket", None, None, skipped=str(missing))
    port = ports.free_port()
    command = python("tests.bench.lanes.picows_beats")
    env = await site.environment("availability", port)
    process = await site.rig.start("idle-picows", command, port=port, env=env)
    line = await _weigh(site, House(name, process, port, "/ws"), bound=None)
    await site.rig.end(process)
    return line


async def _lateness(site: Site, product: House, floor: House, load: Load) -> list[Line]:
    """Watch for a while how late answers come, and beside it how late an empty program's do."""
    pings = await Load.open(site.rig, "pings", _plan(site, product, 50, ""), product.process)
    noise = await Load.open(site.rig, "noise", _plan(site, floor, 50, ""), floor.process)
    try:
        before = await scraped(product.port)
        beats, lags, quiet = await asyncio.gather(
            load.pace(rate=_RATE, seconds=_WATCHED_SECONDS),
            pings.pace(rate=_PINGS, seconds=_WATCHED_SECONDS),
            noise.pace(rate=_PINGS, seconds=_WATCHED_SECONDS),
        )
        grown = _grown(before, await scraped(product.port))
    finally:
        await pings.close()
        await noise.close()
    looks = grown('loop_lag_seconds_bucket{le="+Inf"}')
    late = looks - grown('loop_lag_seconds_bucket{le="0.02"}')
    collections = grown('python_gc_collections_total{generation="2"}')
    beside = f"an empty program beside it: {_late(quiet)}"
    what = "its own metric: looks at which the loop was over 20 ms late"
    lag = percentile(lags["waits_ms"], 0.999)
    note = f"{_late(lags)}; {beside}; {collections:.0f} full collections"
    waits = percentile(beats["waits_ms"], 0.999)
    unanswered = beats["unanswered"]
    return [
        Line("G7", "loop lag with 10k sockets (ping to pong), p99.9", lag, 20, "ms", note=note),
        Line("G7", what, late, 0, "looks", note=f"of {looks:.0f}"),
        Line("G7", "beat to ack with 10k sockets, p99.9", waits, None, "ms", note=_late(beats)),
        Line("G7", "beats without an answer", unanswered, _RATE * _LATE_SECONDS, "beats"),
    ]


def _late(found: Mapping[str, Any]) -> str:
    waits = found["waits_ms"]
    middle, seldom = percentile(waits, 0.5), percentile(waits, 0.999)
    return f"{len(waits)}: p50 {middle:.1f}, p99.9 {seldom:.0f}, worst {max(waits):.0f} ms"


def _weight(house: House, load: Load, empty: int, *, bound: float | None) -> Line:
    full = rss_kib(house.process.pid)
    note = f"{empty / 1024:.0f} -> {full / 1024:.0f} MiB, opened in {load.opened_in:.0f} s"
    what = f"{house.name}: memory per idle socket"
    return Line("G7", what, (full - empty) / MITRAS, bound, "KiB", note=note)


def _grown(before: Mapping[str, float], after: Mapping[str, float]) -> Callable[[str], float]:
    """Return how much a counter grew."""
    return lambda name: after[name] - before.get(name, 0.0)


def _plan(site: Site, house: House, sockets: int, beat: str = BEAT) -> dict[str, object]:
    tokens = [one.token for one in site.mitras[:sockets]]
    return {
        "kind": "socket",
        "port": house.port,
        "path": house.path,
        "connections": sockets,
        "tokens": tokens_file(site.rig.folder, f"idle-{house.port}", tokens),
        "beat": beat,
        "ack": ONLINE,
    }
