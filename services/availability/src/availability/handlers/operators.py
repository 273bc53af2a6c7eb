"""What operators see and do: the dashboard's numbers, the list, force-offline, reseed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from availability.domain import Beacon, RosterRow, Status
from availability.handlers.beacon import Beacons, Lighthouse, Numbers
from availability.handlers.statuses import Statuses
from availability.ports import Roster
from common.db import Unavailable
from common.log import get_logger
from common.runner import Runner
from mirror import MirrorUnavailable, Presence, Reachability, Seeder

_log = get_logger("operators")


@dataclass(frozen=True, slots=True)
class Summary:
    """The dashboard's numbers, and how old each part is."""

    numbers: Numbers
    beacon: Beacon
    loads: Mapping[int, int] | None
    loads_as_of: datetime | None


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
        seeder: Seeder,
        runner: Runner,
    ) -> None:
        self._roster = roster
        self._statuses = statuses
        self._presence = presence
        self._beacons = beacons
        self._lighthouse = lighthouse
        self._seeder = seeder
        self._runner = runner

    async def summary(self) -> Summary:
        """Return the counts of now and the loads as one replica counted them last."""
        numbers = await self._beacons.now()
        beacon = self._beacons.closed() or numbers.lit
        snapshot = await self._lighthouse.snapshot()
        if snapshot is None:
            return Summary(numbers, beacon, None, None)
        return Summary(numbers, beacon, snapshot.loads, snapshot.loads_as_of)

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

    def reseed(self, *, operator_id: UUID) -> None:
        """Start rebuilding the mirror, unless another replica is at it."""
        _log.info("reseed_asked", operator_id=operator_id)
        self._runner.background(self._reseed(), name="reseed")

    async def _reseed(self) -> None:
        try:
            if await self._seeder.reseed("operator") is None:
                _log.info("reseed_runs_already")
        except (MirrorUnavailable, Unavailable) as error:
            _log.warning("reseed_failed", reason=str(error))
