"""Commands to the owners over the bus."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.bus import Bus, BusUnavailable, CommandFailed
from sweeper.domain import Due, Stale
from sweeper.errors import OwnerUnavailable

FENCE = "Temani-Fence"
MARK_OFFLINE = "cmd.availability.mark_offline.v1"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StaleItem(_Frozen):
    """One mitra to take offline, as the mirror showed her."""

    mitra_id: UUID
    status_version: int
    seen_at_ms: int


class MarkOffline(_Frozen):
    """Take these offline unless they beat since."""

    reason: str
    fence: int
    items: list[StaleItem]


class MarkedOffline(_Frozen):
    """What availability did."""

    offline: int
    refused: int


class DueItem(_Frozen):
    """One row that is due."""

    kind: str
    id: UUID


class SettleDue(_Frozen):
    """Settle these rows, each again under its guard."""

    items: list[DueItem]


class Settled(_Frozen):
    """How many rows the owner moved."""

    settled: int


class BusOwners:
    """Asks the owners; an absent one is an OwnerUnavailable, and nothing was lost."""

    def __init__(self, bus: Bus, *, timeout_seconds: float) -> None:
        self._bus = bus
        self._timeout = timeout_seconds

    async def mark_offline(self, stale: Sequence[Stale], *, fence: int) -> int:
        """Ask availability to take stale mitras offline; returns how many it did."""
        command = MarkOffline(
            reason="auto_offline",
            fence=fence,
            items=[
                StaleItem(
                    mitra_id=one.mitra_id,
                    status_version=one.status_version,
                    seen_at_ms=one.seen_at_ms,
                )
                for one in stale
            ],
        )
        answer = await self._ask(MARK_OFFLINE, command, fence=fence)
        return MarkedOffline.model_validate_json(answer).offline

    async def settle(self, owner: str, due: Sequence[Due], *, fence: int) -> int:
        """Ask an owner to settle due rows; returns how many it did."""
        command = SettleDue(items=[DueItem(kind=one.kind, id=one.id) for one in due])
        answer = await self._ask(f"cmd.{owner}.settle_due.v1", command, fence=fence)
        return Settled.model_validate_json(answer).settled

    async def _ask(self, subject: str, command: BaseModel, *, fence: int) -> bytes:
        if not self._bus.up:
            raise OwnerUnavailable("bus unavailable")
        headers = {FENCE: str(fence)}
        try:
            return await self._bus.request(subject, command, timeout=self._timeout, headers=headers)
        except CommandFailed as failed:
            raise OwnerUnavailable(f"{subject} answered {failed.error_code}") from failed
        except BusUnavailable as away:
            raise OwnerUnavailable(f"no answer to {subject}") from away
