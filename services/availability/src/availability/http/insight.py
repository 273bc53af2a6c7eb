"""Why no requests, and how long online: for the mitra herself and for operators."""

from uuid import UUID

from availability import errors
from availability.handlers.insight import Inspected
from availability.http.facts import fact_views
from availability.http.keys import CLOCK, INSIGHT
from availability.http.mirror import mirror_state
from availability.http.render import moment, status_view
from availability.views.facts import ExplainedView
from availability.views.inspection import (
    DifferenceView,
    HeldView,
    InspectionView,
    MirrorView,
    TruthView,
)
from availability.views.online_time import IntervalView, OnlineTimeQuery, OnlineTimeView
from common.web import Context, Routes

ROUTES = Routes()
_WINDOW = (errors.MitraUnknown, errors.WindowEmpty, errors.WindowTooLong)


@ROUTES.get("/api/mitra/status", roles={"mitra"}, raises=(errors.MitraUnknown,), tag="mitra")
async def read_status(ctx: Context) -> ExplainedView:
    """Return her status, and each fact that keeps her from getting requests, with its age."""
    explained = await ctx.app[INSIGHT].explain(ctx.caller.user_id)
    now = ctx.app[CLOCK].now()
    return ExplainedView(
        **dict(status_view(ctx, explained.status)),
        as_of=now,
        facts=fact_views(explained.facts, reader="mitra", now=now),
    )


@ROUTES.get("/api/mitra/status/online-time", roles={"mitra"}, raises=_WINDOW, tag="mitra")
async def read_own_online_time(ctx: Context, query: OnlineTimeQuery) -> OnlineTimeView:
    """Return how long she was online within a window, and each time of it."""
    return await _online_time(ctx, ctx.caller.user_id, query)


@ROUTES.get(
    "/api/control/availability/mitras/{mitra_id}",
    roles={"operator"},
    raises=(errors.MitraUnknown,),
    tag="control",
)
async def inspect_mitra(ctx: Context, mitra_id: UUID) -> InspectionView:
    """Return why a mitra gets requests or not, and whether the mirror has her right."""
    return _inspection(ctx, await ctx.app[INSIGHT].inspect(mitra_id))


@ROUTES.get(
    "/api/control/availability/mitras/{mitra_id}/online-time",
    roles={"operator"},
    raises=_WINDOW,
    tag="control",
)
async def read_online_time(ctx: Context, mitra_id: UUID, query: OnlineTimeQuery) -> OnlineTimeView:
    """Return how long a mitra was online within a window, and each time of it."""
    return await _online_time(ctx, mitra_id, query)


async def _online_time(ctx: Context, mitra_id: UUID, query: OnlineTimeQuery) -> OnlineTimeView:
    found = await ctx.app[INSIGHT].online_time(
        mitra_id,
        starts_at=query.starts_at,
        ends_at=query.ends_at,
        after=query.cursor,
        limit=query.limit,
    )
    return OnlineTimeView(
        mitra_id=mitra_id,
        starts_at=found.window.starts_at,
        ends_at=found.window.ends_at,
        seconds=found.seconds,
        count=found.count,
        items=[
            IntervalView(
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                seconds=one.seconds,
                reason=one.reason,
                is_open=one.is_open,
                went_online_at=one.went_online_at,
            )
            for one in found.intervals
        ],
        next_cursor=found.next_cursor,
    )


def _inspection(ctx: Context, found: Inspected) -> InspectionView:
    now, known, explained = ctx.app[CLOCK].now(), found.known, found.explained
    return InspectionView(
        **dict(status_view(ctx, explained.status)),
        as_of=now,
        facts=fact_views(explained.facts, reader="operator", now=now),
        source=explained.status.source,
        mitra_id=known.mitra_id,
        display_name=known.display_name,
        went_online_at=known.went_online_at,
        offline_reason=known.offline_reason,
        postgres=TruthView(
            is_online=known.is_online,
            is_active=known.is_active,
            load=known.load,
            capacity=known.capacity,
            last_heartbeat_at=known.last_heartbeat_at,
        ),
        mirror=_mirror(ctx, found),
    )


def _mirror(ctx: Context, found: Inspected) -> MirrorView:
    status = found.held.status if found.held is not None else None
    holds = None
    if status is not None and found.held is not None:
        holds = HeldView(
            is_online=status.is_online,
            is_active=status.is_active,
            load=status.load,
            capacity=status.capacity,
            last_heartbeat_at=moment(ctx.app[CLOCK].now(), status.beat_age),
            is_found=found.held.is_in_answer,
        )
    return MirrorView(
        **dict(mirror_state(found.state)),
        agrees=None if found.held is None else not found.differences,
        holds=holds,
        differences=[
            DifferenceView(fact=one.fact, mirror=one.mirror, postgres=one.postgres)
            for one in found.differences
        ],
    )
