"""Rebuilds the mirror from Postgres, compares the two, and heals what differs."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from common.clock import Clock
from common.db import Unavailable
from common.ids import new_id
from common.log import get_logger
from mirror import keys, scripts, sentinel
from mirror.asking import FUTURE_MS
from mirror.comparing import Comparison
from mirror.errors import MirrorUnavailable
from mirror.healing import Healer, Look
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.outcomes import Applied, Drift, Reconciled, Seeded
from mirror.truth import Truth
from mirror.turn import NOBODY, Turn
from mirror.values import MirrorRow, Seed

_log = get_logger("mirror")
_reseeds = Counter("mirror_reseeds_total", "Times this replica rebuilt the mirror", ["reason"])

Told = Callable[[int], Awaitable[None]]

_CHUNK: Final = 500
_LEASE_MS: Final = 5_000
_SEEDING_LIFE_MS: Final = 60_000
_KEEP_SECONDS: Final = 1.0
_JUST_NOW_MS: Final = 5_000


class Seeder:
    """Keeps the mirror equal to Postgres. Raises MirrorUnavailable and common.db.Unavailable."""

    def __init__(self, *, mirror: Mirror, link: Link, truth: Truth, clock: Clock) -> None:
        self._mirror = mirror
        self._link = link
        self._truth = truth
        self._clock = clock
        self._comparison = Comparison(link)
        self._healer = Healer(
            mirror=mirror, link=link, truth=truth, comparison=self._comparison, clock=clock
        )
        self._turn = Turn(clock)
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
        return await self._healer.apply(await self._truth.rows_of(mitra_ids), read_at)

    async def reconcile(self) -> Reconciled:
        """Compare and heal the next part of all mitras; call it once a second.

        A step that raises is taken again by the next call.
        """
        turn, after, done, barred = self._turn, self._turn.after, 0, []
        turn.step()
        look = Look(self._clock.monotonic())
        # Each time: what was empty when the turn began may have been seeded since.
        while done < await self._stride():
            read_at = self._clock.monotonic()
            rows = await self._truth.rows_after(after, _CHUNK)
            await self._healer.look(look, rows, read_at)
            barred += [row.mitra_id for row in rows if row.is_barred]
            done += len(rows)
            after = rows[-1].mitra_id if len(rows) == _CHUNK else NOBODY
            if after == NOBODY:
                break
        applied = await self._healer.look_again(look)
        turn.stepped(after, done, applied)
        return Reconciled(done, applied, barred, turned=after == NOBODY)

    def rest(self) -> None:
        """Do not reconcile here: another replica does."""
        self._turn.rest()

    async def diff(self) -> list[Drift]:
        """Return where the mirror and Postgres differ; changes nothing.

        A difference counts when it is still there at a second look: writes go on meanwhile.
        """
        found: list[Drift] = []
        seen: set[UUID] = set()
        async for rows, _ in self._chunks():
            seen.update(row.mitra_id for row in rows)
            if suspects := {drift.mitra_id for drift in await self._comparison.drift(rows)}:
                found += await self._comparison.drift(await self._truth.rows_of(suspects))
        strangers = [one for one in await self._comparison.mitras() if one not in seen]
        known = {row.mitra_id for row in await self._truth.rows_of(strangers)}
        found += [Drift(one, "stranger", "held", None) for one in strangers if one not in known]
        return found

    # --- inside ------------------------------------------------------------------------------

    async def _stride(self) -> int:
        """Return how many mitras a step must compare, so that the turn ends in time.

        Nobody counts them for that: of each the mirror holds three versions.
        """
        fields: int = await self._link.command(b"HLEN", keys.VERSIONS)
        return max(_CHUNK, self._turn.stride(fields // 3))

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
        right = _Right(holder, truth=self._truth, link=self._link, clock=self._clock)
        server = await self._link.learn_clock()
        since, good = await self._since()
        (begun, erased), _ = await self._link.run(
            scripts.SEED_BEGIN, (str(holder), _SEEDING_LIFE_MS, FUTURE_MS)
        )
        if erased:
            since = begun
        look, applied, seen = Look(started), Applied(), set[UUID]()
        async for rows, read_at in self._chunks():
            if good:
                await self._healer.look(look, rows, read_at)
            else:
                applied += await self._healer.apply(rows, read_at)
            seen.update(row.mitra_id for row in rows)
            await right.keep()
            if told is not None:
                await told(len(seen))
        applied += await self._healer.look_again(look, keep=right.keep)
        strangers = await self._healer.forget_strangers(seen, keep=right.keep)
        seed = Seed(keys.SCHEMA, epoch, str(holder), server.run_id, since, begun)
        written, _ = await self._link.run(
            scripts.SEED_FINISH, (str(holder), sentinel.write(seed), epoch)
        )
        if not written:
            raise MirrorUnavailable("it was emptied while it was seeded", code="unseeded")
        # What a reseed brings into an empty mirror was not drift.
        held = tuple(one for one in applied.mended if one.held is not None)
        return Seeded(
            mitras=len(seen),
            applied=replace(applied, mended=held),
            strangers=strangers,
            seconds=self._clock.monotonic() - started,
        )

    async def _since(self) -> tuple[int, bool]:
        """Return since when this is a mirror, and whether it is one now.

        A reseed of a good one makes no beat less true.
        """
        try:
            return (await self._mirror.seed()).since_ms, True
        except MirrorUnavailable as error:
            if error.state == "deaf" and self._mirror.sentinel.seed is not None:
                return self._mirror.sentinel.seed.since_ms, True
            now = self._link.now_ms(self._clock.monotonic())
            if now is None:
                raise
            return now, False

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


class _Right:
    """The right to seed, and its mark in Valkey: both would end long before a long seeding does."""

    def __init__(self, holder: UUID, *, truth: Truth, link: Link, clock: Clock) -> None:
        self._holder = holder
        self._truth = truth
        self._link = link
        self._clock = clock
        self._kept_at = clock.monotonic()

    async def keep(self) -> None:
        """Keep it, once a second at the most; raises MirrorUnavailable when it was lost."""
        now = self._clock.monotonic()
        if now - self._kept_at < _KEEP_SECONDS:
            return
        self._kept_at = now
        if await self._truth.take_seeding(self._holder, _LEASE_MS) is None:
            raise MirrorUnavailable("another replica took over the seeding")
        await self._link.command(b"PEXPIRE", keys.SEEDING, _SEEDING_LIFE_MS)
