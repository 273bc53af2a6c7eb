"""Brings changes into the mirror, at once or as soon as it can be written."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge

from common.db import Unavailable
from common.log import get_logger
from mirror import LoadFact, Mirror, MirrorUnavailable, Seeder

_log = get_logger("mirroring")
_late = Counter("mirror_writes_late_total", "Changes that the mirror did not take at once")
_owed = Gauge("mirror_writes_owed", "Mitras whose last change has yet to reach the mirror")

# Beyond this many the reseed, which must come anyway, is the shorter way.
_MOST_OWED: Final = 20_000
_BATCH: Final = 500


class MirrorWriter:
    """Best effort now, and owed until it is done: nothing here fails its caller."""

    def __init__(self, *, mirror: Mirror, seeder: Seeder) -> None:
        self._mirror = mirror
        self._seeder = seeder
        self._debts: set[UUID] = set()

    async def show(self, mitra_ids: Collection[UUID]) -> None:
        """Write what Postgres says of these mitras now."""
        try:
            await self._seeder.heal(mitra_ids)
        except (MirrorUnavailable, Unavailable) as error:
            self._owe(mitra_ids, error)

    async def show_loads(self, loads: Sequence[LoadFact]) -> None:
        """Write these loads; an older one never wins."""
        try:
            await self._mirror.apply(loads)
        except MirrorUnavailable as error:
            self._owe([load.mitra_id for load in loads], error)

    async def settle_debts(self) -> int:
        """Try again what the mirror did not take; return how many mitras are still owed."""
        while self._debts:
            batch = list(self._debts)[:_BATCH]
            try:
                await self._seeder.heal(batch)
            except (MirrorUnavailable, Unavailable):
                break
            # A change that came meanwhile was written by itself, or is owed again.
            self._debts.difference_update(batch)
        _owed.set(len(self._debts))
        return len(self._debts)

    def _owe(self, mitra_ids: Collection[UUID], error: Exception) -> None:
        _late.inc()
        if not self._debts:
            _log.warning("mirror_write_failed", reason=str(error), mitras=len(mitra_ids))
        if len(self._debts) < _MOST_OWED:
            self._debts.update(mitra_ids)
