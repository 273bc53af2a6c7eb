"""Service hours and the maintenance switch: what operators decide, and what is so now."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from availability.domain import Hours, Maintenance, ServiceVersion, clashing, overlapping
from availability.errors import (
    ConfigConflict,
    EndUnfit,
    ExceptionsClash,
    HoursOverlap,
    TimeZoneUnknown,
)
from availability.ports import ServiceVersions
from common.log import get_logger
from mirror.plan import Service, ServicePlan

_log = get_logger("service")

# How often somebody else may turn the switch in the same moment before we say so.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """What was decided last, and what follows from it at this moment."""

    version: ServiceVersion
    now: Service


class ServiceDesk:
    """The operators' side of the service plan; it never touches anybody's status."""

    def __init__(
        self, *, versions: ServiceVersions, plan: ServicePlan, changed: Callable[[], None]
    ) -> None:
        self._versions = versions
        self._plan = plan
        self._changed = changed

    async def read(self) -> ServiceNow:
        """Return what counts now."""
        await self.follow()
        return ServiceNow(await self._versions.last(), self._plan.now())

    async def follow(self) -> None:
        """Take the plan that Postgres makes now; the beacon is looked at when it says news."""
        if await self._plan.refresh():
            self._changed()

    async def set_hours(self, hours: Hours, *, expected: int, by: UUID) -> ServiceNow:
        """Decide new hours.

        Raises HoursOverlap, ExceptionsClash, TimeZoneUnknown, ConfigConflict.
        """
        if (opening := overlapping(hours.weekly)) is not None:
            raise HoursOverlap(day=opening.day, opens=opening.span.opens)
        if (day := clashing(hours.exceptions)) is not None:
            raise ExceptionsClash(day)
        if not await self._versions.knows_time_zone(hours.time_zone):
            raise TimeZoneUnknown
        if not await self._versions.add_hours(hours, expected=expected, by=by):
            raise ConfigConflict((await self._versions.last()).version)
        return await self._decided(by)

    async def set_maintenance(
        self, switch: Maintenance, *, expected: int | None, by: UUID
    ) -> ServiceNow:
        """Turn the switch, whatever the version unless one is expected.

        Raises EndUnfit, ConfigConflict.
        """
        if switch.until is not None and not await self._versions.end_fits(switch.until):
            raise EndUnfit
        for _ in range(_TRIES if expected is None else 1):
            if await self._versions.add_maintenance(switch, expected=expected, by=by):
                return await self._decided(by)
        raise ConfigConflict((await self._versions.last()).version)

    async def versions(self, *, before: int | None, limit: int) -> list[ServiceVersion]:
        """Return what was decided, newest first."""
        return await self._versions.page(before=before, limit=limit)

    async def _decided(self, by: UUID) -> ServiceNow:
        decided = await self.read()
        _log.info(
            "service_hours_changed",
            version=decided.version.version,
            what=decided.version.what,
            operator_id=by,
            is_open=decided.now.is_open,
        )
        return decided
