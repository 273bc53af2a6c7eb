"""The control center's routes: numbers, list, force-offline."""

from uuid import UUID

from availability import errors
from availability.http.brake import brake_view
from availability.http.keys import CLOCK, OPERATORS
from availability.http.mirror import mirror_state
from availability.http.render import beacon_view, moment, status_view
from availability.views.operators import ForcedOfflineView, RosterQuery, RosterView, SummaryView
from common.web import Context, Page, Routes

ROUTES = Routes(tag="control")


@ROUTES.get("/api/control/availability/summary", roles={"operator"})
async def read_summary(ctx: Context) -> SummaryView:
    """Return the dashboard's numbers."""
    summary = await ctx.app[OPERATORS].summary()
    counts, loads = summary.numbers.counts, summary.loads
    return SummaryView(
        online=counts.online,
        reachable=counts.reachable,
        available=counts.available,
        busy=counts.busy,
        as_of=summary.numbers.lit.as_of,
        beacon=beacon_view(summary.beacon),
        source=counts.source,
        mirror=mirror_state(summary.mirror),
        brake=brake_view(summary.brake),
        loads=None if loads is None else dict(loads.histogram.loads),
        loads_as_of=None if loads is None else loads.as_of,
        loads_source=None if loads is None else loads.histogram.source,
    )


@ROUTES.get("/api/control/availability/mitras", roles={"operator"})
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
            last_heartbeat_at=moment(now, row.beat_age),
            went_online_at=row.went_online_at,
            offline_reason=row.offline_reason,
        )
        for row, there in rows
    ]
    is_full = len(items) == query.limit
    return Page(items=items, next_cursor=str(items[-1].mitra_id) if is_full else None)


@ROUTES.post(
    "/api/control/availability/mitras/{mitra_id}/force-offline",
    roles={"operator"},
    raises=(errors.MitraUnknown,),
)
async def force_offline(ctx: Context, mitra_id: UUID) -> ForcedOfflineView:
    """Take a mitra offline; she may go online again."""
    status = await ctx.app[OPERATORS].force_offline(mitra_id, operator_id=ctx.caller.user_id)
    return ForcedOfflineView(**dict(status_view(ctx, status)), source=status.source)
