"""Reseeds that operators order: one at a time, each with what became of it."""

import asyncio
import contextlib
from functools import partial
from typing import Final
from uuid import UUID

from availability.domain.drift import Reseed
from availability.handlers.drift import DriftLog
from availability.ports import ReseedStore
from common.db import Unavailable
from common.ids import new_id
from common.log import get_logger
from common.runner import Runner
from mirror import MirrorUnavailable, Seeded, Seeder

_log = get_logger("reseeds")

_LOOK_AGAIN_SECONDS: Final = 1.0
# Longer than any other reseed of a million mitras takes.
_TRIES: Final = 120


class Reseeds:
    """Starts them in the background; whichever replica is asked can tell how far one is."""

    def __init__(
        self, *, seeder: Seeder, store: ReseedStore, drift: DriftLog, runner: Runner
    ) -> None:
        self._seeder = seeder
        self._store = store
        self._drift = drift
        self._runner = runner

    async def order(self, *, operator_id: UUID) -> UUID:
        """Start rebuilding the mirror, or wait for its turn where another reseed is at it."""
        reseed_id = new_id()
        await self._store.add(reseed_id, asked_by=operator_id)
        _log.info("reseed_asked", operator_id=operator_id, reseed_id=reseed_id)
        self._runner.background(self._work(reseed_id), name="reseed")
        return reseed_id

    async def get(self, reseed_id: UUID) -> Reseed:
        """Return what became of one; raises ReseedUnknown."""
        return await self._store.get(reseed_id)

    async def _work(self, reseed_id: UUID) -> None:
        try:
            seeded = await self._rebuild(reseed_id)
            await self._drift.reseeded(seeded)
            await self._store.done(
                reseed_id, mitras=seeded.mitras, healed=seeded.healed, strangers=seeded.ghosts
            )
        except (MirrorUnavailable, Unavailable) as error:
            _log.warning("reseed_failed", reseed_id=reseed_id, reason=str(error))
            # Where this cannot be written, its silence tells.
            with contextlib.suppress(Unavailable):
                await self._store.failed(reseed_id, str(error))

    async def _rebuild(self, reseed_id: UUID) -> Seeded:
        for _ in range(_TRIES):
            told = partial(self._store.moved, reseed_id)
            seeded = await self._seeder.reseed("operator", told=told)
            if seeded is not None:
                return seeded
            # What another one wrote before this was ordered may be what the operator doubts.
            await self._store.waits(reseed_id)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        raise MirrorUnavailable("another reseed did not end")
