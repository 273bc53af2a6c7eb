"""Routes of the control center."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from chat import errors
from chat.http.keys import CONTROL_CENTER
from chat.http.sessions import page
from chat.ports import Search
from chat.views.control import (
    ActivityQuery,
    CapacityView,
    CapacityWish,
    CurrentTiersView,
    MitraActivitiesView,
    ReasonWish,
    SearchQuery,
    SessionRecordView,
    StatisticsQuery,
    StatisticsView,
    TierVersionsView,
    TierVersionView,
    TierWish,
    TranscriptQuery,
)
from chat.views.sessions import MessagesView, SessionView
from common.web import Context, Page, Routes

ROUTES = Routes(tag="control")
OPERATORS = {"operator"}
BASE = "/api/control/chat"
TIERS = "/api/control/settings/chat/tiers"
TierId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


@ROUTES.get(f"{BASE}/sessions", roles=OPERATORS)
async def search_sessions(ctx: Context, query: SearchQuery) -> Page[SessionView]:
    """List sessions by state, topic, sensitivity, party and time; newest first."""
    search = Search(
        state=query.state,
        topic=query.topic,
        sensitivity=query.sensitivity,
        mitra_id=query.mitra_id,
        customer_id=query.customer_id,
        created_from=query.created_from,
        created_until=query.created_until,
        before=query.cursor,
        limit=query.limit,
    )
    return page(await ctx.app[CONTROL_CENTER].search(search), query.limit)


@ROUTES.get(f"{BASE}/sessions/{{session_id}}", roles=OPERATORS, raises=(errors.SessionNotFound,))
async def show_session_record(ctx: Context, session_id: UUID) -> SessionRecordView:
    """Show a session with its extensions, payments and sensitivity log."""
    return await ctx.app[CONTROL_CENTER].record(session_id)


@ROUTES.get(
    f"{BASE}/sessions/{{session_id}}/messages", roles=OPERATORS, raises=(errors.SessionNotFound,)
)
async def read_transcript(ctx: Context, session_id: UUID, query: TranscriptQuery) -> MessagesView:
    """Read what was said; that it was read is noted."""
    return await ctx.app[CONTROL_CENTER].transcript(
        session_id, ctx.caller.user_id, after_seq=query.after_seq, limit=query.limit
    )


@ROUTES.post(
    f"{BASE}/sessions/{{session_id}}/end",
    roles=OPERATORS,
    raises=(errors.SessionNotFound, errors.IllegalMove),
)
async def end_session_by_operator(
    ctx: Context, session_id: UUID, body: ReasonWish | None = None
) -> SessionView:
    """End a session; unused time is refunded."""
    reason = None if body is None else body.reason
    return await ctx.app[CONTROL_CENTER].end(session_id, ctx.caller.user_id, reason)


@ROUTES.post(
    f"{BASE}/sessions/{{session_id}}/cancel",
    roles=OPERATORS,
    raises=(errors.SessionNotFound, errors.IllegalMove),
)
async def cancel_session(
    ctx: Context, session_id: UUID, body: ReasonWish | None = None
) -> SessionView:
    """Give up a session that waits for its payment."""
    reason = None if body is None else body.reason
    return await ctx.app[CONTROL_CENTER].cancel(session_id, ctx.caller.user_id, reason)


@ROUTES.get(f"{BASE}/stats", roles=OPERATORS)
async def show_statistics(ctx: Context, query: StatisticsQuery) -> StatisticsView:
    """Count sessions by state and sensitivity, raised sensitivities, and money."""
    return await ctx.app[CONTROL_CENTER].statistics(query.days)


@ROUTES.get(f"{BASE}/mitras/activity", roles=OPERATORS)
async def show_activity(ctx: Context, query: ActivityQuery) -> MitraActivitiesView:
    """Count what mitras did: sessions, how they ended, how many were sensitive."""
    return await ctx.app[CONTROL_CENTER].activity(query.mitra_id, query.days)


@ROUTES.get(f"{BASE}/mitras/{{mitra_id}}/capacity", roles=OPERATORS)
async def show_capacity(ctx: Context, mitra_id: UUID) -> CapacityView:
    """Show how many sessions a mitra may hold and holds."""
    return await ctx.app[CONTROL_CENTER].capacity(mitra_id)


@ROUTES.patch(
    f"{BASE}/mitras/{{mitra_id}}/capacity", roles=OPERATORS, raises=(errors.MitraNotFound,)
)
async def set_capacity(ctx: Context, mitra_id: UUID, body: CapacityWish) -> CapacityView:
    """Set how many sessions a mitra may hold; lowering it ends none."""
    return await ctx.app[CONTROL_CENTER].set_capacity(mitra_id, ctx.caller.user_id, body.capacity)


@ROUTES.get(TIERS, roles=OPERATORS, tag="tiers")
async def list_current_tiers(ctx: Context) -> CurrentTiersView:
    """List the current version of every price tier, offered or not."""
    return CurrentTiersView(tiers=await ctx.app[CONTROL_CENTER].tiers())


@ROUTES.get(f"{TIERS}/{{tier_id}}", roles=OPERATORS, tag="tiers", raises=(errors.TierNotFound,))
async def list_tier_versions(ctx: Context, tier_id: TierId) -> TierVersionsView:
    """List all versions of a price tier, newest first."""
    versions = await ctx.app[CONTROL_CENTER].tier_versions(tier_id)
    return TierVersionsView(tier_id=tier_id, versions=versions)


@ROUTES.put(f"{TIERS}/{{tier_id}}", roles=OPERATORS, tag="tiers")
async def put_tier(ctx: Context, tier_id: TierId, body: TierWish) -> TierVersionView:
    """Write the next version of a price tier; running sessions keep theirs."""
    return await ctx.app[CONTROL_CENTER].put_tier(tier_id, ctx.caller.user_id, body)
