"""Brings changes into the mirror, at once or as soon as it can be written."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge

from common.db import CommitUnknown, Unavailable
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
        self._changes = count(1)
        self._debts: dict[UUID, int] = {}
        """Whose change has yet to be written, and which change of all that was."""

    async def show(self, mitra_ids: Collection[UUID]) -> None:
        """Write what Postgres says of these mitras now."""
        # Owed first: whoever is stopped in the middle leaves the debt behind.
        debts = self._owe(mitra_ids)
        try:
            await self._pay(debts)
        except (MirrorUnavailable, Unavailable) as error:
            self._note(error, len(debts))

    async def show_loads(self, loads: Sequence[LoadFact]) -> None:
        """Write these loads; an older one never wins."""
        try:
            await self._mirror.apply(loads)
        except MirrorUnavailable as error:
            self._note(error, len(self._owe([load.mitra_id for load in loads])))

    @contextmanager
    def uncertain(self, mitra_ids: Collection[UUID]) -> Iterator[None]:
        """Owe these mitras where nobody learns whether what is done inside was committed."""
        try:
            yield
        except (CommitUnknown, asyncio.CancelledError):
            self._owe(mitra_ids)
            raise

    async def settle_debts(self) -> int:
        """Try again what the mirror did not take; return how many mitras are still owed."""
        while self._debts:
            try:
                await self._pay(dict(islice(self._debts.items(), _BATCH)))
            except (MirrorUnavailable, Unavailable):
                break
        _owed.set(len(self._debts))
        return len(self._debts)

    async def _pay(self, debts: Mapping[UUID, int]) -> None:
        await self._seeder.heal(debts.keys())
        for mitra_id, change in debts.items():
            # One that came meanwhile may not have been read: it is paid by itself.
            if self._debts.get(mitra_id) == change:
                del self._debts[mitra_id]

    def _owe(self, mitra_ids: Collection[UUID]) -> dict[UUID, int]:
        debts = {mitra_id: next(self._changes) for mitra_id in mitra_ids}
        if len(self._debts) < _MOST_OWED:
            self._debts.update(debts)
        return debts

    def _note(self, error: Exception, mitras: int) -> None:
        _late.inc()
        if len(self._debts) <= mitras:
            _log.warning("mirror_write_failed", reason=str(error), mitras=mitras)
