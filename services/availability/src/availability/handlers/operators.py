"""What operators see and do: the dashboard's numbers, the list, force-offline."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from availability.domain import Beacon, RosterRow, Status
from availability.domain.brake import Brake
from availability.handlers.beacon import Beacons, Lighthouse, Numbers
from availability.handlers.histograms import Histograms, Taken
from availability.handlers.statuses import Statuses
from availability.ports import Roster
from common.log import get_logger
from mirror import MirrorState, Presence, Reachability

_log = get_logger("operators")


@dataclass(frozen=True, slots=True)
class Summary:
    """The dashboard's numbers, and how old each part is."""

    numbers: Numbers
    beacon: Beacon
    mirror: MirrorState
    brake: Brake | None
    loads: Taken | None


class Operators:
    """The control center's side of availability."""

    def __init__(
        self,
        *,
        roster: Roster,
        statuses: Statuses,
        presence: Presence,
        beacons: Beacons,
        lighthouse: Lighthouse,
        histograms: Histograms,
        state: Callable[[], MirrorState],
        brake: Callable[[], Brake | None],
    ) -> None:
        self._roster = roster
        self._statuses = statuses
        self._presence = presence
        self._beacons = beacons
        self._lighthouse = lighthouse
        self._histograms = histograms
        self._state = state
        self._brake = brake

    async def summary(self) -> Summary:
        """Return the counts of now, and the loads as one replica counted them last.

        While nobody keeps those, as when Valkey is away, they are counted here.
        """
        numbers = await self._beacons.now()
        beacon = self._beacons.closed() or numbers.lit
        snapshot = await self._lighthouse.snapshot()
        loads = snapshot.taken() if snapshot is not None else None
        if loads is None:
            loads = await self._histograms.latest()
        return Summary(numbers, beacon, self._state(), self._brake(), loads)

    async def roster(
        self, *, after: UUID | None, limit: int, online: bool | None
    ) -> list[tuple[RosterRow, Reachability]]:
        """Return mitras in the order of their ids, each with what the mirror says of her now."""
        rows = await self._roster.page(after=after, limit=limit, online=online)
        now = await self._presence.is_reachable([row.mitra_id for row in rows])
        return [(row, now[row.mitra_id]) for row in rows]

    async def force_offline(self, mitra_id: UUID, *, operator_id: UUID) -> Status:
        """Take a mitra offline; raises MitraUnknown."""
        status = await self._statuses.go_offline(mitra_id, reason="operator")
        _log.info("mitra_forced_offline", mitra_id=mitra_id, operator_id=operator_id)
        return status
