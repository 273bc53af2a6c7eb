"""Keeps the mirror true: reseeds it when it is none, and heals what drifted, all the time."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from availability.domain import Patience
from availability.handlers.drift import DriftLog
from availability.ports import Leases, Serving
from common.clock import Clock
from common.db import Unavailable
from common.log import get_logger
from mirror import MirrorUnavailable, Seeder

_log = get_logger("upkeep")

_LEASE_SECONDS: Final = 3.0


class Upkeep:
    """What has to be done each second, whoever else is away."""

    def __init__(
        self,
        *,
        seeder: Seeder,
        leases: Leases,
        serving: Serving,
        patience: Patience,
        holder: UUID,
        drift: DriftLog,
        settle_deactivated: Callable[[Sequence[UUID]], Awaitable[int]],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._seeder = seeder
        self._leases = leases
        self._serving = serving
        self._patience = patience
        self._holder = holder
        self._drift = drift
        self._settle_deactivated = settle_deactivated
        self._clock = clock
        self._changed = changed
        self._quiet = False

    async def restore(self) -> None:
        """Make sure, before the first request, that there is a mirror; without Valkey, go on."""
        try:
            seeded = await self._seeder.renew("start")
        except (MirrorUnavailable, Unavailable) as error:
            _log.warning("mirror_not_seeded", reason=str(error))
            return
        if seeded is not None:
            await self._drift.reseeded(seeded)

    async def serve(self) -> None:
        """Note that beats can be brought here; unsaid while Postgres is away, which is a gap too.

        Mitras who beat by HTTP fall silent with us, others are heard over their sockets: without
        this the sweep would take that for a silence of the first.
        """
        with contextlib.suppress(Unavailable):
            await self._serving.serve(gap_seconds=self._patience.gap)

    async def watch(self) -> None:
        """Reseed when Valkey came back, came back empty, or Postgres has another history."""
        try:
            seeded = await self._seeder.mend()
        except (MirrorUnavailable, Unavailable) as error:
            if not self._quiet:
                _log.warning("mirror_watch_waits", reason=str(error))
            self._quiet = True
            return
        self._quiet = False
        if seeded is not None:
            self._changed()
            await self._drift.reseeded(seeded)

    async def reconcile(self) -> None:
        """Heal the next part of all mitras, on one replica."""
        began = self._clock.monotonic()
        try:
            if not await self._leases.hold(
                "reconcile", holder=self._holder, seconds=_LEASE_SECONDS
            ):
                self._seeder.rest()
                self._drift.rest()
                return
            if await self._seeder.trouble() is not None:
                # What is missing in a mirror that was emptied is no drift; the watch seeds it.
                return
            step = await self._seeder.reconcile()
        except (MirrorUnavailable, Unavailable):
            # The watch says it; the next second tries again.
            return
        if step.applied.newer or step.applied.healed:
            self._changed()
            _log.info(
                "mirror_healed",
                late=step.applied.newer,
                wrong=step.applied.healed,
                mitras=step.mitras,
            )
        await self._drift.stepped(step, seconds=self._clock.monotonic() - began)
        if step.barred:
            await self._settle_deactivated(step.barred)
