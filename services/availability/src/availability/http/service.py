"""The control center's routes to service hours and the maintenance switch."""

from typing import Any

from availability import errors
from availability.domain import DateHours, Hours, Maintenance, Opening, ServiceVersion, Span
from availability.handlers.service import ServiceNow
from availability.http.keys import SERVICE
from availability.views.service import (
    ExceptionItem,
    HoursBody,
    MaintenanceBody,
    MaintenanceView,
    OpeningItem,
    ServiceHoursView,
    ServiceNowView,
    ServiceVersionView,
    VersionsQuery,
)
from common.web import Context, Page, Routes

ROUTES = Routes(tag="control")
_HOURS = "/api/control/availability/service-hours"


@ROUTES.get(_HOURS, roles={"operator"})
async def read_service_hours(ctx: Context) -> ServiceHoursView:
    """Return the hours, the switch, and whether new requests are taken now."""
    return _now_view(await ctx.app[SERVICE].read())


@ROUTES.put(
    _HOURS,
    roles={"operator"},
    raises=(
        errors.HoursOverlap,
        errors.ExceptionsClash,
        errors.TimeZoneUnknown,
        errors.ConfigConflict,
    ),
)
async def set_service_hours(ctx: Context, body: HoursBody) -> ServiceHoursView:
    """Decide new hours; nobody's status changes, and what is under way goes on."""
    hours = Hours(
        body.time_zone,
        tuple(Opening(item.day, Span.read(item.opens, item.closes)) for item in body.weekly),
        tuple(_date_hours(item) for item in body.exceptions),
    )
    return _now_view(
        await ctx.app[SERVICE].set_hours(hours, expected=body.version, by=ctx.caller.user_id)
    )


@ROUTES.put(
    "/api/control/availability/maintenance",
    roles={"operator"},
    raises=(errors.EndUnfit, errors.ConfigConflict),
)
async def set_maintenance(ctx: Context, body: MaintenanceBody) -> ServiceHoursView:
    """Close the service at once, maybe until a moment, or open it again for its hours."""
    switch = Maintenance(body.on, body.note, body.until)
    return _now_view(
        await ctx.app[SERVICE].set_maintenance(switch, expected=body.version, by=ctx.caller.user_id)
    )


@ROUTES.get(f"{_HOURS}/versions", roles={"operator"})
async def list_service_versions(ctx: Context, query: VersionsQuery) -> Page[ServiceVersionView]:
    """List what was decided, by whom and when, newest first."""
    versions = await ctx.app[SERVICE].versions(before=query.cursor, limit=query.limit)
    is_full = len(versions) == query.limit
    return Page(
        items=[ServiceVersionView(**_fields(version)) for version in versions],
        next_cursor=str(versions[-1].version) if is_full else None,
    )


def _date_hours(item: ExceptionItem) -> DateHours:
    if item.opens is None or item.closes is None:
        return DateHours(item.date, None)
    return DateHours(item.date, Span.read(item.opens, item.closes))


def _now_view(decided: ServiceNow) -> ServiceHoursView:
    now = decided.now
    return ServiceHoursView(
        **_fields(decided.version),
        now=ServiceNowView(
            is_open=now.is_open,
            why=now.why,
            note=now.note,
            opens_at=now.opens_at,
            closes_at=now.closes_at,
        ),
    )


def _fields(version: ServiceVersion) -> dict[str, Any]:
    switch = version.maintenance
    return {
        "version": version.version,
        "time_zone": version.hours.time_zone,
        "weekly": [OpeningItem(day=o.day, **o.span.written()) for o in version.hours.weekly],
        "exceptions": [
            ExceptionItem(date=e.date, **(e.span.written() if e.span else {}))
            for e in version.hours.exceptions
        ],
        "maintenance": MaintenanceView(on=switch.on, note=switch.note, until=switch.until),
        "what": version.what,
        "changed_by": version.changed_by,
        "changed_at": version.changed_at,
    }
