"""A mitra's own routes: online, offline and her heartbeat."""

from availability import errors
from availability.http.keys import CLOCK, NEXT_BEAT, STATUSES
from availability.http.render import status_view
from availability.views.statuses import HeartbeatView, StatusView, heartbeat_json
from common.web import Context, Routes

ROUTES = Routes(tag="mitra")


@ROUTES.post(
    "/api/mitra/status/online",
    roles={"mitra"},
    raises=(errors.MitraInactive, errors.MitraUnknown),
)
async def go_online(ctx: Context) -> StatusView:
    """Go online; doing it again counts as a heartbeat."""
    status = await ctx.app[STATUSES].go_online(ctx.caller.user_id, login_id=ctx.caller.login_id)
    return status_view(ctx, status)


@ROUTES.post("/api/mitra/status/offline", roles={"mitra"}, raises=(errors.MitraUnknown,))
async def go_offline(ctx: Context) -> StatusView:
    """Go offline; sessions under way go on."""
    return status_view(ctx, await ctx.app[STATUSES].go_offline(ctx.caller.user_id, reason="self"))


@ROUTES.post(
    "/api/mitra/status/heartbeat", roles={"mitra"}, raises=(errors.MitraInactive,), hot=True
)
async def beat(ctx: Context) -> HeartbeatView | bytes:
    """Say "still here"; learn whether she still counts as online."""
    return heartbeat_json(
        is_online=await ctx.app[STATUSES].beat(ctx.caller.user_id),
        next_beat_seconds=ctx.app[NEXT_BEAT],
        server_time=ctx.app[CLOCK].now(),
    )
