"""G10: what keeping the kept answer costs Valkey, and that no command holds it for long."""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Final
from uuid import UUID

from tests.bench.crowd import CAPACITY, Hall
from tests.bench.inner import freeze
from tests.bench.lines import Line
from tests.bench.measure import cpu_ns, median, paired, percentile, ratio, spread

from mirror import LoadFact, Stamp, scripts
from mirror.scripts import Script
from mirror.values import BeatCursor, BeatOutcome, MirrorRow

_SENDERS: Final = 64
_BEATS: Final = 12_800
_CHANGES: Final = 6_400
_JITTER: Final = 0.05  # of a heartbeat: a timer on a phone is that late at times
_SLOW_MS: Final = 5.0
_KEPT: Final = 20_000
_STRETCHED: Final = 1.2
_SCRIPTS: Final = {
    value.digest: name for name, value in vars(scripts).items() if isinstance(value, Script)
}

BEAT, ORIGINAL_BEAT = "beat", "SISMEMBER + SET EX"
CHANGE, ORIGINAL_CHANGE = "capacity change", "SET"


async def measure_upkeep(
    halls: dict[int, Hall], pids: dict[int, int], *, rounds: int
) -> list[Line]:
    """Return what a beat and a change of load cost Valkey, and which commands held it."""
    lines: list[Line] = []
    for size, hall in halls.items():
        freeze()
        costs = await paired(_costs(hall, pids[size]), rounds=rounds)
        for ours, theirs, bound in ((BEAT, ORIGINAL_BEAT, 1.1), (CHANGE, ORIGINAL_CHANGE, 10.0)):
            top, bottom = costs[ours], costs[theirs]
            note = f"{median(top):.2f} / {median(bottom):.2f} us, {spread(top, bottom)}"
            what = f"Valkey CPU: {ours} / {theirs}, {size // 1000}k"
            lines.append(Line("G10", what, ratio(top, bottom), bound, note=note))
    lines.append(await _slowest_command(halls[max(halls)], pids[max(halls)]))
    return lines


def _costs(hall: Hall, pid: int) -> dict[str, Callable[[], Awaitable[float]]]:
    ids = hall.crowd.ids
    versions = itertools.count(2)
    turn, original_turn = _turns(hall), _turns(hall)

    async def beat() -> int:
        return await _by_senders(_BEATS, lambda: _beat(hall, next(turn)))

    async def original_beat() -> int:
        return await _by_senders(_BEATS, lambda: hall.original.beat(next(original_turn)))

    async def change() -> int:
        return await _by_senders(
            _CHANGES, lambda: _change(hall, random.choice(ids), next(versions))
        )

    async def original_change() -> int:
        return await _by_senders(
            _CHANGES, lambda: hall.original.set_capacity(random.choice(ids), CAPACITY)
        )

    def cost(work: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[float]]:
        async def sample() -> float:
            """Return the microseconds of Valkey's CPU for each."""
            await hall.refresh()
            before = cpu_ns(pid)
            done = await work()
            return (cpu_ns(pid) - before) / done / 1000

        return sample

    works = {
        BEAT: beat,
        ORIGINAL_BEAT: original_beat,
        CHANGE: change,
        ORIGINAL_CHANGE: original_change,
    }
    return {name: cost(work) for name, work in works.items()}


def _turns(hall: Hall) -> Iterator[UUID]:
    """Return who beats next: everybody once a heartbeat, so whoever beat longest ago, or nearly."""
    rows = hall.crowd.rows
    longest = max(row.online.beat_age_ms or 0 for row in rows)
    dice = random.Random(7)

    def age(row: MirrorRow) -> float:
        return (row.online.beat_age_ms or 0) + longest * _JITTER * dice.random()

    return itertools.cycle([row.mitra_id for row in sorted(rows, key=age, reverse=True)])


async def _by_senders(total: int, act: Callable[[], Awaitable[object]]) -> int:
    """Do it so often, by 64 who each wait for their answer before they do it again."""
    each = total // _SENDERS

    async def sender() -> None:
        for _ in range(each):
            await act()

    await asyncio.gather(*(sender() for _ in range(_SENDERS)))
    return each * _SENDERS


async def _beat(hall: Hall, mitra_id: UUID) -> None:
    outcome = await hall.beats.beat(mitra_id)
    assert outcome is BeatOutcome.RECORDED, outcome


async def _change(hall: Hall, mitra_id: UUID, version: int) -> None:
    """Fill her up or free her, so that she leaves or enters the kept answer."""
    load = CAPACITY * (version % 2)
    applied = await hall.mirror.apply([LoadFact(mitra_id, Stamp(1, version), load, CAPACITY)])
    assert applied.newer == 1, applied


async def _slowest_command(hall: Hall, pid: int) -> Line:
    """Do all that the product does to the largest mirror; return the slowest kind of command.

    Of each kind the 90th percentile: beyond it lie the turns of other programs on the core. Where
    commands took longer than Valkey was on a core at all, they say more of others than of Valkey.
    """
    wire = hall.original.wire
    await wire.send(("CONFIG", "SET", "slowlog-max-len", _KEPT))
    await wire.send(("CONFIG", "SET", "slowlog-log-slower-than", 0))
    await wire.send(("SLOWLOG", "RESET"))
    before = cpu_ns(pid)
    await _everything(hall)
    on_core = (cpu_ns(pid) - before) / 1_000_000
    await wire.send(("CONFIG", "SET", "slowlog-log-slower-than", -1))
    took: dict[str, list[float]] = defaultdict(list)
    for entry in await wire.send(("SLOWLOG", "GET", _KEPT)):
        took[_kind(entry[3])].append(entry[2] / 1000)
    stretched = sum(map(sum, took.values())) / on_core
    worst = {kind: percentile(ms, 0.9) for kind, ms in took.items()}
    first, *others = sorted(worst, key=worst.__getitem__, reverse=True)
    note = f"{first}; then " + ", ".join(f"{kind} {worst[kind]:.1f}" for kind in others[:3])
    skipped = None
    if worst[first] > _SLOW_MS and stretched > _STRETCHED:
        skipped = f"the machine is too busy: Valkey had its core {1 / stretched:.0%} of the time"
    what = f"slowest command, {len(hall.crowd.ids) // 1000}k"
    return Line("G10", what, worst[first], _SLOW_MS, unit="ms", note=note, skipped=skipped)


async def _everything(hall: Hall) -> None:
    await hall.refresh()
    ids = hall.crowd.ids
    await hall.seeder.reseed("bench")
    await hall.seeder.reconcile()
    await hall.seeder.diff()
    await hall.presence.find_available(50)
    await hall.presence.find_available(200, ids[:200])
    await hall.presence.is_reachable(ids[:2000])
    await hall.presence.counts()
    await hall.mirror.status(ids[0])
    await hall.mirror.stale(2000)
    await hall.mirror.loads()
    await hall.mirror.last_beats(ids[:2000])
    page = await hall.mirror.beats(BeatCursor())
    await hall.mirror.beats(page.next)
    await asyncio.gather(*(hall.beats.beat(one) for one in ids[:3000]))
    facts = [LoadFact(one, Stamp(2, 1), 1, CAPACITY) for one in ids[:500]]
    await hall.mirror.apply(facts)


def _kind(command: list[bytes]) -> str:
    if command[0] in {b"EVALSHA", b"EVAL"}:
        return _SCRIPTS.get(command[1], "a script")
    return command[0].decode(errors="replace")
