"""Parse → handler → render; and which error is which status."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from aiohttp import web

from availability import errors
from availability.domain import Status, is_reachable
from availability.handlers import Beacons, Operators, Statuses
from availability.views import (
    BeaconView,
    HeartbeatView,
    ReseedView,
    RosterQuery,
    RosterView,
    StatusView,
    SummaryView,
)
from common.clock import Clock
from common.web import Context, Page, Reply, Routes

STATUS: Final[dict[type[Exception], int]] = {
    errors.MitraInactive: 403,
    errors.MitraUnknown: 404,
}

STATUSES = web.AppKey("statuses", Statuses)
BEACONS = web.AppKey("beacons", Beacons)
OPERATORS = web.AppKey("operators", Operators)
CLOCK = web.AppKey("clock", Clock)
FRESH_LIMIT = web.AppKey("fresh_limit", timedelta)
NEXT_BEAT = web.AppKey("next_beat_seconds", float)

mitra = Routes(tag="mitra")
customer = Routes(tag="customer")
control = Routes(tag="control")
ROUTES: Final = (mitra, customer, control)


@mitra.get("/api/mitra/status", roles={"mitra"}, raises=(errors.MitraUnknown,))
async def read_status(ctx: Context) -> StatusView:
    """Return her status, and what keeps her from getting requests."""
    return _status(ctx, await ctx.app[STATUSES].status(ctx.caller.user_id))


@mitra.post(
    "/api/mitra/status/online",
    roles={"mitra"},
    raises=(errors.MitraInactive, errors.MitraUnknown),
)
async def go_online(ctx: Context) -> StatusView:
    """Go online; doing it again counts as a heartbeat."""
    status = await ctx.app[STATUSES].go_online(ctx.caller.user_id, login_id=ctx.caller.login_id)
    return _status(ctx, status)


@mitra.post("/api/mitra/status/offline", roles={"mitra"}, raises=(errors.MitraUnknown,))
async def go_offline(ctx: Context) -> StatusView:
    """Go offline; sessions under way go on."""
    return _status(ctx, await ctx.app[STATUSES].go_offline(ctx.caller.user_id, reason="self"))


@mitra.post("/api/mitra/status/heartbeat", roles={"mitra"}, raises=(errors.MitraInactive,))
async def beat(ctx: Context) -> HeartbeatView:
    """Say "still here"; learn whether she still counts as online."""
    return HeartbeatView(
        is_online=await ctx.app[STATUSES].beat(ctx.caller.user_id),
        next_beat_seconds=ctx.app[NEXT_BEAT],
        server_time=ctx.app[CLOCK].now(),
    )


@customer.get("/api/customer/availability", roles={"customer"})
async def read_beacon(ctx: Context) -> BeaconView:
    """Return whether anyone is available."""
    beacon = (await ctx.app[BEACONS].now()).beacon
    return BeaconView(state=beacon.state, available=beacon.count, as_of=beacon.as_of)


@control.get("/api/control/availability/summary", roles={"operator"})
async def read_summary(ctx: Context) -> SummaryView:
    """Return the dashboard's numbers."""
    summary = await ctx.app[OPERATORS].summary()
    counts = summary.numbers.counts
    return SummaryView(
        online=counts.online,
        reachable=counts.reachable,
        available=counts.available,
        busy=counts.busy,
        as_of=summary.numbers.beacon.as_of,
        source=counts.source,
        loads=None if summary.loads is None else dict(summary.loads),
        loads_as_of=summary.loads_as_of,
    )


@control.get("/api/control/availability/mitras", roles={"operator"})
async def list_mitras(ctx: Context, query: RosterQuery) -> Page[RosterView]:
    """List mitras with their status."""
    rows = await ctx.app[OPERATORS].roster(
        after=query.cursor, limit=query.limit, online=query.online
    )
    now = ctx.app[CLOCK].now()
    items = [
        RosterView(
            mitra_id=row.mitra_id,
            display_name=row.display_name,
            is_online=row.is_online,
            is_active=row.is_active,
            reachable=there.reachable,
            available=there.available,
            load=row.load,
            capacity=row.capacity,
            last_heartbeat_at=_moment(now, row.beat_age),
            went_online_at=row.went_online_at,
            offline_reason=row.offline_reason,
        )
        for row, there in rows
    ]
    is_full = len(items) == query.limit
    return Page(items=items, next_cursor=str(items[-1].mitra_id) if is_full else None)


@control.post(
    "/api/control/availability/mitras/{mitra_id}/force-offline",
    roles={"operator"},
    raises=(errors.MitraUnknown,),
)
async def force_offline(ctx: Context, mitra_id: UUID) -> StatusView:
    """Take a mitra offline; she may go online again."""
    status = await ctx.app[OPERATORS].force_offline(mitra_id, operator_id=ctx.caller.user_id)
    return _status(ctx, status)


@control.post("/api/control/availability/reseed", roles={"operator"}, status=202)
async def reseed(ctx: Context) -> Reply[ReseedView]:
    """Rebuild the mirror from Postgres; runs in the background."""
    ctx.app[OPERATORS].reseed(operator_id=ctx.caller.user_id)
    return Reply(ReseedView(state="started"))


def _status(ctx: Context, status: Status) -> StatusView:
    hindrances = status.hindrances(ctx.app[FRESH_LIMIT])
    return StatusView(
        is_online=status.is_online,
        reachable=is_reachable(hindrances),
        available=not hindrances,
        load=status.load,
        capacity=status.capacity,
        last_heartbeat_at=_moment(ctx.app[CLOCK].now(), status.beat_age),
        reasons=list(hindrances),
        source=status.source,
    )


def _moment(now: datetime, age: timedelta | None) -> datetime | None:
    return None if age is None else now - age
