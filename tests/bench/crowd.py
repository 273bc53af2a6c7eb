"""Many mitras in two layouts: our mirror, and the keys of the system that Temani replaces."""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import orjson

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from mirror import (
    Beats,
    Counts,
    Histogram,
    Limits,
    LoadFact,
    Mirror,
    MitraStatus,
    Presence,
    Reachability,
    Seeder,
    Stamp,
)
from mirror.fallback import Bulkhead, WithFallback
from mirror.link import Link
from mirror.truth import Truth
from mirror.values import ActiveFact, MirrorRow, OnlineFact
from mirror.wire import Argument, Reply, Wire

CAPACITY = 3
LIMITS = Limits(heartbeat_seconds=300, fresh_seconds=600, auto_offline_seconds=900)
_YOUNGEST, _OLDEST_FRESH, _STALE = 0, 300_000, 1_000_000  # ages of beats in ms
_AT_ONCE = 2000
_MGET = 500  # mitras per MGET


@dataclass(frozen=True, slots=True)
class Crowd:
    """N mitras online: one in ten is full, one in twenty is stale, the rest is available."""

    rows: list[MirrorRow]
    ids: list[UUID] = field(default_factory=list)
    available: frozenset[UUID] = frozenset()
    stale: frozenset[UUID] = frozenset()

    @classmethod
    def of(cls, size: int, *, seed: int = 7) -> "Crowd":
        """Make one; the same each time."""
        dice = random.Random(seed)
        ids = sorted(UUID(int=dice.getrandbits(128), version=4) for _ in range(size))
        rows = [_row(one, number, dice) for number, one in enumerate(ids)]
        stale = frozenset(row.mitra_id for row in rows if row.online.beat_age_ms == _STALE)
        free = frozenset(row.mitra_id for row in rows if row.load.load < CAPACITY)
        return cls(rows, ids, free - stale, stale)


def _row(mitra_id: UUID, number: int, dice: random.Random) -> MirrorRow:
    stamp = Stamp(1, 1)
    load = CAPACITY if number % 10 == 0 else dice.randrange(CAPACITY)
    age = _STALE if number % 20 == 1 else dice.randint(_YOUNGEST, _OLDEST_FRESH)
    return MirrorRow(
        OnlineFact(mitra_id, stamp, is_online=True, beat_age_ms=age),
        ActiveFact(mitra_id, stamp, is_active=True),
        LoadFact(mitra_id, stamp, load, CAPACITY),
    )


class CrowdTruth(Truth):
    """Stands in for Postgres where only the mirror is measured."""

    def __init__(self, crowd: Crowd) -> None:
        self._rows = crowd.rows
        self._places = {row.mitra_id: place for place, row in enumerate(crowd.rows)}

    async def rows_after(self, after: UUID, limit: int) -> list[MirrorRow]:
        """Return the facts of the next mitras in the order of their ids."""
        start = self._places.get(after, -1) + 1
        return self._rows[start : start + limit]

    async def rows_of(self, mitra_ids: Collection[UUID]) -> list[MirrorRow]:
        """Return the facts of these mitras."""
        return [self._rows[self._places[one]] for one in mitra_ids if one in self._places]

    async def take_seeding(self, holder: UUID, life_ms: int) -> int | None:
        """Nobody else wants to seed."""
        return 1

    async def release_seeding(self, holder: UUID) -> None:
        """Nobody waits for it."""


class NoFallback:
    """What a figure of the mirror must never come from."""

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Fail."""
        self._fail(limit, exclude)

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Fail."""
        self._fail(mitra_ids)

    async def counts(self) -> Counts:
        """Fail."""
        self._fail()

    async def histogram(self) -> Histogram:
        """Fail."""
        self._fail()

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Fail."""
        self._fail(mitra_id)

    def _fail(self, *_: object) -> NoReturn:
        raise AssertionError("the mirror did not answer")


@dataclass(frozen=True, slots=True)
class Hall:
    """A crowd in one Valkey, and the product's own ways to it."""

    crowd: Crowd
    link: Link
    mirror: Mirror
    seeder: Seeder
    presence: Presence
    beats: Beats
    runner: Runner
    original: "Original"

    @classmethod
    async def open(cls, url: str, crowd: Crowd) -> "Hall":
        """Seed the mirror with the product's own seeding, and lay the other keys beside it."""
        clock, runner = SystemClock(), Runner()
        link = Link(url, clock=clock)
        mirror = Mirror(link, clock=clock, limits=LIMITS)
        seeder = Seeder(mirror=mirror, link=link, truth=CrowdTruth(crowd), clock=clock)
        presence = WithFallback(first=mirror, then=NoFallback(), bulkhead=Bulkhead(clock=clock))
        nowhere = cast("Database", None)  # no beat of these may need Postgres
        beats = Beats(mirror=mirror, db=nowhere, heal=seeder.heal, runner=runner, clock=clock)
        await seeder.reseed("bench")
        original = await Original.open(url)
        await original.fill(crowd)
        return cls(crowd, link, mirror, seeder, presence, beats, runner, original)

    async def refresh(self) -> None:
        """Learn the clock and let somebody beat, as happens each second: a deaf mirror is none."""
        await self.link.learn_clock()
        await self.beats.beat(next(iter(self.crowd.available)))

    async def close(self) -> None:
        """End the connection."""
        await self.runner.stop(budget=2)
        await self.link.close()
        self.original.wire.abort("done")


class Original:
    """The keys of the system that Temani replaces, asked in the best form that they allow.

    One hash tag, so that MGET and SDIFF work on a cluster at all; over the product's own kind of
    connection, so that only the layout and the questions differ.
    """

    ONLINE = "{o}:mitras:online"
    DEACTIVATED = "{o}:mitras:deactivated"
    SNAPSHOT = "{o}:availability:snapshot"
    FRESH_MS = int(LIMITS.fresh_seconds * 1000)
    STALE_MS = int(LIMITS.auto_offline_seconds * 1000)

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    async def open(cls, url: str) -> "Original":
        """Connect; its answers may take long."""
        address = urlsplit(url)
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(timeout=60.0, on_lost=lambda _wire, _reason: None),
            address.hostname or "127.0.0.1",
            address.port or 6379,
        )
        return cls(wire)

    async def fill(self, crowd: Crowd) -> None:
        """Lay the keys of this crowd."""
        now = now_ms()
        commands: list[tuple[Argument, ...]] = [
            ("SET", self.SNAPSHOT, orjson.dumps({"available": len(crowd.available)}))
        ]
        for row in crowd.rows:
            age = row.online.beat_age_ms or 0
            commands += [
                ("SADD", self.ONLINE, str(row.mitra_id)),
                ("SET", capacity_key(row.mitra_id), row.load.load),
                ("SET", heartbeat_key(row.mitra_id), now - age),
            ]
        commands += [("SADD", self.DEACTIVATED, str(uuid4())) for _ in range(len(crowd.ids) // 100)]
        await many(self.wire, commands)

    async def available(self) -> list[UUID]:
        """Return all who are available: SDIFF, then MGET of their capacities and heartbeats."""
        found = await self.wire.send(("SDIFF", self.ONLINE, self.DEACTIVATED))
        names = [name.decode() for name in found]
        floor = now_ms() - self.FRESH_MS
        chunks = [names[start : start + _MGET] for start in range(0, len(names), _MGET)]
        replies = await asyncio.gather(
            *(
                self.wire.send(("MGET", *(key for name in part for key in keys_of(name))))
                for part in chunks
            )
        )
        values = [value for reply in replies for value in reply]
        return [
            UUID(name)
            for name, load, beat in zip(names, values[::2], values[1::2], strict=True)
            if int(load or 0) < CAPACITY and beat is not None and int(beat) > floor
        ]

    async def stale(self) -> list[UUID]:
        """Return all whose heartbeat is too old: every member is looked at."""
        names = [name.decode() for name in await self.wire.send(("SMEMBERS", self.ONLINE))]
        limit = now_ms() - self.STALE_MS
        beats = await many(self.wire, [("GET", heartbeat_key(name)) for name in names])
        return [
            UUID(name)
            for name, beat in zip(names, beats, strict=True)
            if beat is None or int(beat) < limit
        ]

    async def beat(self, mitra_id: UUID) -> None:
        """Look whether she is deactivated and store her heartbeat; both in one write."""
        await asyncio.gather(
            self.wire.send(("SISMEMBER", self.DEACTIVATED, str(mitra_id))),
            self.wire.send(("SET", heartbeat_key(mitra_id), now_ms(), "EX", 86_400)),
        )

    async def set_capacity(self, mitra_id: UUID, load: int) -> None:
        """Store how many sessions she has."""
        await self.wire.send(("SET", capacity_key(mitra_id), load))


def capacity_key(mitra_id: UUID | str) -> str:
    """Return where the original keeps a mitra's load."""
    return f"{{o}}:mitra:capacity:{mitra_id}"


def heartbeat_key(mitra_id: UUID | str) -> str:
    """Return where the original keeps a mitra's last heartbeat."""
    return f"{{o}}:mitra:heartbeat:{mitra_id}"


def now_ms() -> int:
    """Return the wall clock in ms."""
    return int(time.time() * 1000)


def keys_of(mitra_id: str) -> tuple[str, str]:
    """Return both keys of one mitra."""
    return capacity_key(mitra_id), heartbeat_key(mitra_id)


async def many(wire: Wire, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
    """Run all of these, a few thousand at a time in one write."""
    answers: list[Reply] = []
    for start in range(0, len(commands), _AT_ONCE):
        part = commands[start : start + _AT_ONCE]
        answers += await asyncio.gather(*(wire.send(command) for command in part))
    return answers
