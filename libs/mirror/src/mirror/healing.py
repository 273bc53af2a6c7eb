"""Puts right in the mirror what is not as in Postgres, and says what that was."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from common import baseline
from common.clock import Clock
from mirror import scripts
from mirror.comparing import Comparison, Keep, nothing_to_keep
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.outcomes import Applied
from mirror.truth import Truth
from mirror.values import Fact, MirrorRow
from mirror.wire import Argument

_healed = Counter("mirror_healed_total", "Facts that were wrong in the mirror and were healed")

_GONE: Final = ord("1")
_CHUNK: Final = 200
# A change is written here right after its commit, or fails when Valkey has not answered in time.
_ON_THE_WAY: Final = 2 * baseline.VALKEY_SOCKET_TIMEOUT


@dataclass(slots=True)
class Look:
    """A first look at some mitras: how many, and who was not as in Postgres."""

    began: float
    mitras: int = 0
    suspects: set[UUID] = field(default_factory=set)


class Healer:
    """Looks, looks again, and writes what Postgres says then."""

    def __init__(
        self, *, mirror: Mirror, link: Link, truth: Truth, comparison: Comparison, clock: Clock
    ) -> None:
        self._mirror = mirror
        self._link = link
        self._truth = truth
        self._comparison = comparison
        self._clock = clock

    async def look(self, look: Look, rows: Sequence[MirrorRow], read_at: float) -> None:
        """Note whose facts are not as in Postgres; reading costs a tenth of writing."""
        if not rows:
            return
        self._mirror.sentinel.expect(rows[0].online.stamp.pg_epoch)
        server = self._link.server or await self._link.learn_clock()
        now = read_at * 1000 + server.offset_ms
        look.suspects |= await self._comparison.suspects(rows, now)
        look.mitras += len(rows)

    async def look_again(self, look: Look, *, keep: Keep = nothing_to_keep) -> Applied:
        """Heal whoever is still not as in Postgres: a change on its way here was no drift."""
        applied = Applied(same=3 * (look.mitras - len(look.suspects)))
        if not look.suspects:
            return applied
        await asyncio.sleep(look.began + _ON_THE_WAY - self._clock.monotonic())
        suspects = sorted(look.suspects)
        for start in range(0, len(suspects), _CHUNK):
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_of(suspects[start : start + _CHUNK])
            applied += await self.apply(rows, read_at)
            await keep()
        return applied

    async def apply(self, rows: Sequence[MirrorRow], read_at: float) -> Applied:
        """Write all facts of these rows, which were read not before `read_at`."""
        if not rows:
            return Applied()
        self._mirror.sentinel.expect(max(row.online.stamp.pg_epoch for row in rows))
        facts: list[Fact] = [fact for row in rows for fact in row.facts()]
        applied = _that_mattered(await self._mirror.apply(facts, read_at=read_at), rows)
        if applied.healed:
            _healed.inc(applied.healed)
        return applied

    async def forget_strangers(
        self, seen: Collection[UUID], *, keep: Keep = nothing_to_keep
    ) -> tuple[UUID, ...]:
        """Remove whom Postgres does not know, of those who were not seen there; return them."""
        strangers = [one for one in await self._comparison.mitras(keep=keep) if one not in seen]
        forgotten: list[UUID] = []
        for start in range(0, len(strangers), _CHUNK):
            part = strangers[start : start + _CHUNK]
            held = dict(zip(part, await self._comparison.held(part), strict=True))
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_of(part)
            await self.apply(rows, read_at)
            known = {row.mitra_id for row in rows}
            gone: list[UUID] = []
            args: list[Argument] = []
            for mitra_id in part:
                if mitra_id not in known:
                    args += [str(mitra_id), *(one or b"" for one in held[mitra_id][4])]
                    gone.append(mitra_id)
            if args:
                digits, _ = await self._link.run(scripts.FORGET, args)
                forgotten += [
                    one for one, digit in zip(gone, digits, strict=True) if digit == _GONE
                ]
            await keep()
        return tuple(forgotten)


def _that_mattered(applied: Applied, rows: Sequence[MirrorRow]) -> Applied:
    """Leave out of `mended` what was not there and is not missed by anybody."""
    absent = {row.mitra_id for row in rows if not row.online.is_online}
    mended = tuple(
        one
        for one in applied.mended
        if one.held is not None
        or not (one.mitra_id in absent or (one.fact == "active" and one.true == "True"))
    )
    return replace(applied, mended=mended)
