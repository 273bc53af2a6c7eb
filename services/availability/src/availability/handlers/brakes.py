"""The brake of auto-offline, as operators see and release it."""

from uuid import UUID

from availability.domain.brake import Brake
from availability.ports import BrakeStore
from common.db import Unavailable
from common.log import get_logger

_log = get_logger("brake")


class Brakes:
    """Looks each second, so that the dashboard never waits for it."""

    def __init__(self, store: BrakeStore) -> None:
        self._store = store
        self._seen: Brake | None = None

    def seen(self) -> Brake | None:
        """Return what the last look saw; None too while nobody could be asked."""
        return self._seen

    async def look(self) -> None:
        """Look once; never fails."""
        try:
            self._seen = await self._store.now()
        except Unavailable:
            self._seen = None

    async def now(self) -> Brake | None:
        """Return the pass that is stopped now; raises Unavailable."""
        return await self._store.now()

    async def confirm(self, brake_id: UUID, *, operator_id: UUID) -> int:
        """Let the pass that the operator saw go on; raises NoBrake, BrakeChanged."""
        mitras = await self._store.confirm(brake_id, by=operator_id)
        _log.info("brake_confirmed", brake_id=brake_id, operator_id=operator_id, mitras=mitras)
        await self.look()
        return mitras
