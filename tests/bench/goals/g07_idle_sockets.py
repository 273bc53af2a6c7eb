"""G7: ten thousand sockets on one replica of chat: what each holds, and how late the loop gets."""

import asyncio
from collections.abc import Mapping

from tests.bench.driving import Load, tokens_file
from tests.bench.goals.g06_socket_beat import BEAT, ONLINE
from tests.bench.lines import Line
from tests.bench.measure import percentile, rss_kib
from tests.bench.rig import Rig, python
from tests.bench.site import CHAT_PATH, MITRAS, Site, scraped

from temani import ports

TITLE = f"{MITRAS} idle sockets"

_BEAT_EVERY_SECONDS = 20.0
_RATE = MITRAS / _BEAT_EVERY_SECONDS
_WATCHED_SECONDS = 20.0
_SETTLE_SECONDS = 2.0
_NOISE_SOCKETS = 50


async def measure(rig: Rig) -> list[Line]:
    """Open the sockets, weigh the process, then let every mitra beat at the product's pace."""
    site = await Site.of(rig)
    chat, port = await site.service("chat", replica="idle")
    floor_port = ports.free_port()
    floor = await rig.start(
        "noise", [*python("tests.bench.peers.aiohttp_floor"), str(floor_port)], port=floor_port
    )
    empty = rss_kib(chat.pid)
    rig.say(f"opening {MITRAS} sockets")
    load = await Load.open(rig, "idle", _plan(site, port, CHAT_PATH, MITRAS), chat)
    noise = await Load.open(rig, "noise", _plan(site, floor_port, "/ws", _NOISE_SOCKETS), floor)
    try:
        await load.pace(rate=_RATE, seconds=_SETTLE_SECONDS)
        weight = _weight(load, empty, rss_kib(chat.pid))
        return [weight, *await _lateness(load, noise, port)]
    finally:
        await noise.close()
        await load.close()
        await chat.kill()  # saying goodbye to ten thousand is no part of this


async def _lateness(load: Load, noise: Load, port: int) -> list[Line]:
    """Watch for a while how late answers come, and beside it how late an empty program's do."""
    before = await scraped(port)
    found, quiet = await asyncio.gather(
        load.pace(rate=_RATE, seconds=_WATCHED_SECONDS),
        noise.pace(rate=_RATE / 5, seconds=_WATCHED_SECONDS),
    )
    after = await scraped(port)
    waits, floor = found["waits_ms"], quiet["waits_ms"]
    looks = _grown(before, after, 'loop_lag_seconds_bucket{le="+Inf"}')
    late = looks - _grown(before, after, 'loop_lag_seconds_bucket{le="0.02"}')
    full = _grown(before, after, 'python_gc_collections_total{generation="2"}')
    note = (
        f"{len(waits)} beats, p50 {percentile(waits, 0.5):.1f}, worst {max(waits):.0f} ms;"
        f" empty aiohttp beside it: p99.9 {percentile(floor, 0.999):.0f},"
        f" worst {max(floor):.0f} ms; {full:.0f} full collections"
    )
    return [
        Line(
            "G7",
            "beat to ack with 10k sockets, p99.9",
            percentile(waits, 0.999),
            20,
            "ms",
            note=note,
        ),
        Line(
            "G7",
            "loop over 20 ms late, by its own metric",
            late,
            0,
            "looks",
            note=f"of {looks:.0f}",
        ),
        Line("G7", "beats without an answer", found["unanswered"], _RATE * 0.02, "beats"),
    ]


def _weight(load: Load, empty: int, full: int) -> Line:
    note = f"{empty / 1024:.0f} -> {full / 1024:.0f} MiB, opened in {load.opened_in:.0f} s"
    return Line("G7", "memory per idle socket", (full - empty) / MITRAS, 16, "KiB", note=note)


def _grown(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float:
    return after[name] - before.get(name, 0.0)


def _plan(site: Site, port: int, path: str, sockets: int) -> dict[str, object]:
    tokens = [one.token for one in site.mitras[:sockets]]
    return {
        "kind": "socket",
        "port": port,
        "path": path,
        "connections": sockets,
        "tokens": tokens_file(site.rig.folder, f"idle-{port}", tokens),
        "beat": BEAT,
        "ack": ONLINE,
    }
