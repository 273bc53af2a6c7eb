"""Rebuilds the mirror from Postgres, compares the two, and heals what differs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge

from common.clock import Clock
from common.db import Unavailable
from common.ids import new_id
from common.log import get_logger
from mirror import keys, scripts, sentinel
from mirror.asking import FUTURE_MS
from mirror.errors import MirrorUnavailable
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.outcomes import Applied, Drift, Reconciled, Seeded
from mirror.truth import Truth
from mirror.values import Fact, MirrorRow, Seed
from mirror.wire import Argument

_log = get_logger("mirror")
_reseeds = Counter("mirror_reseeds_total", "Times this replica rebuilt the mirror", ["reason"])
_healed = Counter("mirror_healed_total", "Facts that were wrong in the mirror and were healed")
_drift = Gauge("mirror_drift", "Facts that the last full turn of the reconcile had to change")

Told = Callable[[int], Awaitable[None]]

NOBODY: Final = UUID(int=0)
_GONE: Final = ord("1")
_CHUNK: Final = 500
_LEASE_MS: Final = 5_000
_SEEDING_LIFE_MS: Final = 60_000
_JUST_NOW_MS: Final = 5_000
# A full turn takes at most 25 steps of one second each: drift lives for 30 s at the most.
_STEPS: Final = 25


class Seeder:
    """Keeps the mirror equal to Postgres. Raises MirrorUnavailable and common.db.Unavailable."""

    def __init__(self, *, mirror: Mirror, link: Link, truth: Truth, clock: Clock) -> None:
        self._mirror = mirror
        self._link = link
        self._truth = truth
        self._clock = clock
        self._after = NOBODY
        self._turn = _Turn()
        self._step = _CHUNK
        self._connections = 0

    async def trouble(self) -> str | None:
        """Return why this is not a mirror; None when it is one, or none that a seeding can mend.

        Raises when Valkey is away.
        """
        try:
            await self._link.learn_clock()
            await self._mirror.seed()
        except MirrorUnavailable as error:
            if error.state == "away":
                raise
            return error.reason if error.state == "seeding" else None
        return None

    async def reseed(self, reason: str, *, told: Told | None = None) -> Seeded | None:
        """Rebuild the mirror; None while another replica does. Newer writes survive it.

        `told` hears now and then how many mitras were read.
        """
        return await self._alone(reason, unless=self._never, told=told)

    async def renew(self, reason: str) -> Seeded | None:
        """Rebuild the mirror, unless somebody did a moment ago."""
        return await self._alone(reason, unless=self._was_seeded_just_now)

    async def mend(self) -> Seeded | None:
        """Rebuild the mirror if it is none, or if Valkey was away; None when all is well."""
        if (trouble := await self.trouble()) is not None:
            # Whoever had the right before us may have mended it.
            return await self._alone("mend", unless=self._is_well, trouble=trouble)
        if self._link.connections == self._connections:
            return None
        connections = self._link.connections
        seeded = await self.renew("reconnected")
        self._connections = connections
        return seeded

    async def heal(self, mitra_ids: Collection[UUID]) -> Applied:
        """Write what Postgres says of these mitras now."""
        read_at = self._clock.monotonic()
        return await self._apply(await self._truth.rows_of(mitra_ids), read_at)

    async def reconcile(self) -> Reconciled:
        """Compare and heal the next part of all mitras; call it once a second."""
        done, applied, barred = 0, Applied(), []
        turned = False
        while done < self._step and not turned:
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_after(self._after, _CHUNK)
            applied += await self._apply(rows, read_at)
            barred += [
                row.mitra_id for row in rows if row.online.is_online and not row.active.is_active
            ]
            done += len(rows)
            turned = len(rows) < _CHUNK
            self._after = NOBODY if turned else rows[-1].mitra_id
        self._turn.add(done, applied)
        if turned:
            self._step = max(_CHUNK, -(-self._turn.mitras // _STEPS))
            _drift.set(self._turn.changed)
            self._turn = _Turn()
        return Reconciled(done, applied, barred, turned)

    async def diff(self) -> list[Drift]:
        """Return where the mirror and Postgres differ; changes nothing.

        A difference counts when it is still there at a second look: writes go on meanwhile.
        """
        found: list[Drift] = []
        seen: set[UUID] = set()
        async for rows, _ in self._chunks():
            seen.update(row.mitra_id for row in rows)
            if suspects := {drift.mitra_id for drift in await self._compare(rows)}:
                found += await self._compare(await self._truth.rows_of(suspects))
        strangers = [one for one in await self._held() if one not in seen]
        known = {row.mitra_id for row in await self._truth.rows_of(strangers)}
        found += [Drift(one, "stranger", "held", None) for one in strangers if one not in known]
        return found

    # --- inside ------------------------------------------------------------------------------

    async def _alone(
        self,
        reason: str,
        *,
        unless: Callable[[], Awaitable[bool]],
        trouble: str | None = None,
        told: Told | None = None,
    ) -> Seeded | None:
        holder = new_id()
        epoch = await self._truth.take_seeding(holder, _LEASE_MS)
        if epoch is None:
            return None
        self._mirror.sentinel.expect(epoch)
        try:
            if await unless():
                return None
            seeded = await self._rebuild(holder, epoch, told)
        finally:
            # Where this fails, the right to seed ends by itself after 5 s.
            with contextlib.suppress(Unavailable):
                await self._truth.release_seeding(holder)
        _reseeds.labels(reason).inc()
        _log.info(
            "mirror_reseeded",
            reason=reason,
            trouble=trouble,
            mitras=seeded.mitras,
            healed=seeded.healed,
            ghosts=seeded.ghosts,
            ms=round(seeded.seconds * 1000),
        )
        return seeded

    async def _never(self) -> bool:
        return False

    async def _is_well(self) -> bool:
        return await self.trouble() is None

    async def _was_seeded_just_now(self) -> bool:
        try:
            seed = await self._mirror.seed()
        except MirrorUnavailable:
            return False
        now = self._link.now_ms(self._clock.monotonic())
        return now is not None and abs(now - seed.seeded_ms) < _JUST_NOW_MS

    async def _rebuild(self, holder: UUID, epoch: int, told: Told | None) -> Seeded:
        started = self._clock.monotonic()
        server = await self._link.learn_clock()
        since = await self._since()
        (begun, erased), _ = await self._link.run(
            scripts.SEED_BEGIN, (str(holder), _SEEDING_LIFE_MS, FUTURE_MS)
        )
        if erased:
            since = begun
        applied, seen = Applied(), set[UUID]()
        async for rows, read_at in self._chunks():
            applied += await self._apply(rows, read_at)
            seen.update(row.mitra_id for row in rows)
            if await self._truth.take_seeding(holder, _LEASE_MS) is None:
                raise MirrorUnavailable("another replica took over the seeding")
            if told is not None:
                await told(len(seen))
        strangers = await self._forget_strangers(seen)
        seed = Seed(keys.SCHEMA, epoch, str(holder), server.run_id, since, begun)
        written, _ = await self._link.run(
            scripts.SEED_FINISH, (str(holder), sentinel.write(seed), epoch)
        )
        if not written:
            raise MirrorUnavailable("it was emptied while it was seeded", state="seeding")
        # What a reseed brings into an empty mirror was not drift.
        held = tuple(one for one in applied.mended if one.held is not None)
        return Seeded(
            mitras=len(seen),
            applied=replace(applied, mended=held),
            strangers=strangers,
            seconds=self._clock.monotonic() - started,
        )

    async def _since(self) -> int:
        """Return since when this is a mirror: a reseed of a good one makes no beat less true."""
        try:
            return (await self._mirror.seed()).since_ms
        except MirrorUnavailable as error:
            if error.state == "deaf" and self._mirror.sentinel.seed is not None:
                return self._mirror.sentinel.seed.since_ms
            now = self._link.now_ms(self._clock.monotonic())
            if now is None:
                raise
            return now

    async def _chunks(self) -> AsyncIterator[tuple[list[MirrorRow], float]]:
        after = NOBODY
        while True:
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_after(after, _CHUNK)
            if rows:
                yield rows, read_at
            if len(rows) < _CHUNK:
                return
            after = rows[-1].mitra_id

    async def _apply(self, rows: Sequence[MirrorRow], read_at: float) -> Applied:
        if not rows:
            return Applied()
        self._mirror.sentinel.expect(max(row.online.stamp.pg_epoch for row in rows))
        facts: list[Fact] = [fact for row in rows for fact in row.facts()]
        applied = _that_mattered(await self._mirror.apply(facts, read_at=read_at), rows)
        if applied.healed:
            _healed.inc(applied.healed)
        return applied

    async def _held(self) -> set[UUID]:
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
            await asyncio.sleep(0)

    async def _forget_strangers(self, seen: Collection[UUID]) -> tuple[UUID, ...]:
        strangers = [one for one in await self._held() if one not in seen]
        forgotten: list[UUID] = []
        for start in range(0, len(strangers), _CHUNK):
            part = strangers[start : start + _CHUNK]
            versions = (await self._known(part))[4]
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_of(part)
            await self._apply(rows, read_at)
            known = {row.mitra_id for row in rows}
            gone: list[UUID] = []
            args: list[Argument] = []
            for place, mitra_id in enumerate(part):
                if mitra_id not in known:
                    read = versions[place * 3 : place * 3 + 3]
                    args += [str(mitra_id), *(one or b"" for one in read)]
                    gone.append(mitra_id)
            if args:
                digits, _ = await self._link.run(scripts.FORGET, args)
                forgotten += [
                    one for one, digit in zip(gone, digits, strict=True) if digit == _GONE
                ]
        return tuple(forgotten)

    async def _known(self, mitra_ids: Sequence[UUID]) -> list[list[bytes | int | None]]:
        reply, _ = await self._link.run(scripts.KNOWN, [str(one) for one in mitra_ids])
        return reply  # type: ignore[no-any-return]  # a list of lists by the script's contract

    async def _compare(self, rows: Sequence[MirrorRow]) -> list[Drift]:
        if not rows:
            return []
        online, available, barred, loads, _ = await self._known([row.mitra_id for row in rows])
        found: list[Drift] = []
        for place, row in enumerate(rows):
            load = loads[place]
            pairs = (
                ("online", online[place] is not None, row.online.is_online),
                ("active", not barred[place], row.active.is_active),
                (
                    "load",
                    load.decode() if isinstance(load, bytes) else None,
                    f"{row.load.load}/{row.load.capacity}",
                ),
                ("available", available[place] is not None, row.is_available),
            )
            found += [
                Drift(row.mitra_id, fact, str(held), str(true))  # type: ignore[arg-type]  # a literal
                for fact, held, true in pairs
                if held != true
            ]
        return found


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


@dataclass(slots=True)
class _Turn:
    """One full turn of the reconcile."""

    mitras: int = 0
    changed: int = 0

    def add(self, mitras: int, applied: Applied) -> None:
        self.mitras += mitras
        self.changed += applied.newer + applied.healed
