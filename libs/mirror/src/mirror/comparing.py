"""What the mirror holds beside what Postgres says, found by reading only."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Final
from uuid import UUID

from libvalkey import pack_command

from mirror import keys
from mirror.link import Link
from mirror.outcomes import Drift
from mirror.values import MirrorRow
from mirror.wire import Reply

_BARRED: Final = str(keys.BARRED).encode()
_CHUNK: Final = 500
# The flush brings beats to Postgres by their age, some milliseconds more or less.
_YOUNGER_MS: Final = 1_000

Held = tuple[bytes | None, bytes | None, int, bytes | None, tuple[bytes | None, ...]]
"""Of one mitra: score in online, score in available, deactivated, load, the versions (o, a, l)."""

Keep = Callable[[], Awaitable[None]]
"""Called again and again by what may take long, so that the right to do it is kept."""


async def nothing_to_keep() -> None:
    """Keep nothing: anybody may do this at any time."""


class Comparison:
    """Reads what the mirror holds of some mitras, or of whom it holds anything. Changes nothing."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def held(self, mitra_ids: Collection[UUID]) -> list[Held]:
        """Return what is held of each of these mitras."""
        names = [str(mitra_id) for mitra_id in mitra_ids]
        found: list[Held] = []
        for start in range(0, len(names), _CHUNK):
            found += await self._held(names[start : start + _CHUNK])
        return found

    async def mitras(self, *, keep: Keep = nothing_to_keep) -> set[UUID]:
        """Return every mitra of whom the mirror holds a fact, in bounded steps."""
        found: set[UUID] = set()
        cursor = b"0"
        while True:
            cursor, fields = await self._link.command(
                b"HSCAN", keys.VERSIONS, cursor, b"COUNT", _CHUNK
            )
            names = {field.partition(b":")[0].decode() for field in fields[::2]}
            found.update(UUID(name) for name in names - {keys.GUARD})
            if cursor == b"0":
                return found
            await keep()
            await asyncio.sleep(0)

    async def suspects(self, rows: Sequence[MirrorRow], now: float) -> set[UUID]:
        """Return whose facts, versions, kept answer or beats are not as in Postgres.

        Ages of beats count back from `now`, ms on Valkey's clock.
        """
        held = await self.held([row.mitra_id for row in rows])
        return {
            row.mitra_id
            for row, one in zip(rows, held, strict=True)
            if _is_other(row, one) or _is_younger(row, one[0], now)
        }

    async def drift(self, rows: Sequence[MirrorRow]) -> list[Drift]:
        """Return each fact of these mitras that the mirror holds otherwise."""
        held = await self.held([row.mitra_id for row in rows])
        return [drift for row, one in zip(rows, held, strict=True) for drift in _drift(row, one)]

    async def _held(self, names: Sequence[str]) -> Iterator[Held]:
        fields = [f"{name}:{fact}" for name in names for fact in "oal"]
        replies: Sequence[Reply]
        replies, _ = await self._link.ask(
            pack_command(("ZMSCORE", keys.ONLINE, *names))
            + pack_command(("ZMSCORE", keys.AVAILABLE, *names))
            + pack_command(("SMISMEMBER", keys.DEACTIVATED, *names))
            + pack_command(("HMGET", keys.LOAD, *names))
            + pack_command(("HMGET", keys.VERSIONS, *fields)),
            5,
        )
        versions = iter(replies[4])
        return zip(*replies[:4], zip(versions, versions, versions, strict=True), strict=True)


def _is_other(row: MirrorRow, held: Held) -> bool:
    score, kept, barred, _, versions = held
    stamps = tuple(str(fact.stamp).encode() for fact in row.facts())
    right = score if row.is_available else None
    alive = barred and score not in {None, _BARRED}
    return versions != stamps or kept != right or bool(alive) or any(_drift(row, held))


def _is_younger(row: MirrorRow, score: bytes | None, now: float) -> bool:
    age = row.online.beat_age_ms
    if score is None or age is None or not row.active.is_active:
        return False
    return now - age > int(score) + _YOUNGER_MS


def _drift(row: MirrorRow, held: Held) -> Iterator[Drift]:
    score, kept, barred, stored, _ = held
    mitra_id, load = row.mitra_id, f"{row.load.load}/{row.load.capacity}"
    here = None if stored is None else stored.decode()
    is_online, is_active, is_kept = score is not None, not barred, kept is not None
    if is_online != row.online.is_online:
        yield Drift(mitra_id, "online", str(is_online), str(row.online.is_online))
    if is_active != row.active.is_active:
        yield Drift(mitra_id, "active", str(is_active), str(row.active.is_active))
    if here != load:
        yield Drift(mitra_id, "load", str(here), load)
    if is_kept != row.is_available:
        yield Drift(mitra_id, "available", str(is_kept), str(row.is_available))
