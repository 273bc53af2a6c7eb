"""Online, offline, beats: what a mitra and her logins do to her status."""

from collections.abc import Callable, Sequence
from uuid import UUID

from availability.domain import OfflineReason, Stale, Status, still_stale
from availability.errors import MitraInactive
from availability.ports import Mirroring, Store
from common.log import get_logger
from mirror import BeatOutcome, Beats, Mirror, MirrorUnavailable

_log = get_logger("statuses")


class Statuses:
    """Postgres commits first; the mirror follows, and never fails the call."""

    def __init__(
        self,
        *,
        store: Store,
        mirroring: Mirroring,
        mirror: Mirror,
        beats: Beats,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._mirroring = mirroring
        self._mirror = mirror
        self._beats = beats
        self._changed = changed

    async def go_online(self, mitra_id: UUID, *, login_id: UUID) -> Status:
        """Set her online by this login."""
        with self._mirroring.uncertain([mitra_id]):
            status = await self._store.go_online(mitra_id, login_id=login_id)
        await self._shown([mitra_id])
        _log.info("mitra_online", mitra_id=mitra_id)
        return status

    async def go_offline(self, mitra_id: UUID, *, reason: OfflineReason) -> Status:
        """Set her offline, for whatever reason."""
        with self._mirroring.uncertain([mitra_id]):
            change = await self._store.go_offline(mitra_id, reason=reason)
        if change is not None:
            await self._shown([mitra_id])
            _log.info("mitra_offline", mitra_id=mitra_id, reason=reason, changed=change.changed)
        return await self._store.status(mitra_id)

    async def beat(self, mitra_id: UUID) -> bool:
        """Take a heartbeat; return whether she is online. Raises MitraInactive."""
        outcome = await self._beats.beat(mitra_id)
        if outcome is BeatOutcome.DEACTIVATED:
            raise MitraInactive
        return outcome is BeatOutcome.RECORDED

    async def logged_out(self, mitra_id: UUID, *, login_id: UUID, event_id: UUID) -> None:
        """Set her offline when the login by which she is online has ended."""
        with self._mirroring.uncertain([mitra_id]):
            change = await self._store.leave(mitra_id, login_id=login_id, event_id=event_id)
        if change is not None and change.changed:
            await self._shown([mitra_id])
            _log.info("mitra_offline", mitra_id=mitra_id, reason="logout")

    async def welcome(self, mitra_id: UUID) -> None:
        """Make a row for a new mitra."""
        await self._store.welcome(mitra_id)
        await self._mirroring.show([mitra_id])

    async def activity_changed(self, mitra_id: UUID) -> None:
        """Look whether she is active now: if not, she goes offline; the mirror learns it anyway."""
        with self._mirroring.uncertain([mitra_id]):
            change = await self._store.settle_deactivated(mitra_id)
        await self._shown([mitra_id])
        if change is not None and change.changed:
            _log.info("mitra_offline", mitra_id=mitra_id, reason="deactivated")

    async def settle_deactivated(self, mitra_ids: Sequence[UUID]) -> int:
        """Set offline whoever of these is deactivated now; return how many were still online."""
        settled = 0
        for mitra_id in mitra_ids:
            with self._mirroring.uncertain([mitra_id]):
                change = await self._store.settle_deactivated(mitra_id)
            if change is not None and change.changed:
                # At once: the next one may fail.
                await self._shown([mitra_id])
                settled += 1
        if settled:
            _log.info("deactivated_settled", mitras=settled)
        return settled

    async def settle_due(self) -> int:
        """Settle what a look over our own rows finds due."""
        return await self.settle_deactivated(await self._store.due(limit=100))

    async def mark_offline(self, items: Sequence[Stale], *, fence: int) -> int:
        """Set offline whoever has not beaten since the sweep looked; return how many.

        Without a mirror nobody is: "I cannot see them" is not "they are gone". Raises FencePassed.
        """
        try:
            beats = await self._mirror.last_beats([item.mitra_id for item in items])
        except MirrorUnavailable:
            return 0
        stale = still_stale(list(items), beats)
        with self._mirroring.uncertain([item.mitra_id for item in stale]):
            changes = await self._store.mark_stale_offline(stale, fence=fence)
        if changes:
            await self._shown([change.mitra_id for change in changes])
            _log.info("auto_offline", mitras=len(changes), refused=len(items) - len(changes))
        return len(changes)

    async def _shown(self, mitra_ids: Sequence[UUID]) -> None:
        await self._mirroring.show(mitra_ids)
        self._changed()
