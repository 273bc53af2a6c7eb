"""The mirror as operators see it: its state, its drift, its reseeds."""

from typing import Final
from uuid import UUID

from availability import errors
from availability.domain.drift import Look, Reseed
from availability.http.keys import DRIFT, RESEEDS
from availability.views.drift import (
    AdviceCode,
    DriftedView,
    DriftQuery,
    DriftView,
    LookView,
    MirrorStateView,
    ReseedProgressView,
)
from availability.views.operators import ReseedView
from common.web import Context, Page, Reply, Routes
from mirror import MirrorState

ROUTES = Routes(tag="control")

_ADVICE: Final[dict[AdviceCode, str]] = {
    "away": "Valkey cannot be asked; Postgres answers, slower. Look after the Valkey server: "
    "the mirror is rebuilt by itself as soon as it is back.",
    "no_writes": "Valkey answers and takes no writes, so what it says grows old; Postgres answers, "
    "slower. Give it memory, disk or the replicas it asks for: the mirror is rebuilt by itself.",
    "deaf": "Nobody of those online was heard for a while; Postgres answers, slower. Either they "
    "lost their connection (with few online, look there first), or beats do not reach Valkey: look "
    "whether it is frozen or overloaded. It mends itself with the next beats.",
    "seeding": "The mirror is being rebuilt; Postgres answers meanwhile. This takes seconds.",
}
_LOST: Final = "The replica that did it is gone."
_AGAIN: Final = "Order it again. Until then Postgres answers where the mirror cannot."


@ROUTES.get("/api/control/availability/drift", roles={"operator"})
async def read_drift(ctx: Context, query: DriftQuery) -> DriftView:
    """Return what the mirror had otherwise than Postgres, and what the last full looks found."""
    report = await ctx.app[DRIFT].report(before=query.cursor, limit=query.limit)
    cursor = report.recent.next_cursor
    return DriftView(
        mirror=mirror_state(report.state),
        last_turn=_look(report.looks.reconcile),
        last_reseed=_look(report.looks.reseed),
        recent=Page(
            items=[
                DriftedView.model_validate(one, from_attributes=True) for one in report.recent.items
            ],
            next_cursor=None if cursor is None else str(cursor),
        ),
    )


@ROUTES.post("/api/control/availability/reseed", roles={"operator"}, status=202)
async def reseed(ctx: Context) -> Reply[ReseedView]:
    """Rebuild the mirror from Postgres, in the background; ask `/reseeds/{reseed_id}` how far."""
    reseed_id = await ctx.app[RESEEDS].order(operator_id=ctx.caller.user_id)
    return Reply(ReseedView(state="started", reseed_id=reseed_id))


@ROUTES.get(
    "/api/control/availability/reseeds/{reseed_id}",
    roles={"operator"},
    raises=(errors.ReseedUnknown,),
)
async def read_reseed(ctx: Context, reseed_id: UUID) -> ReseedProgressView:
    """Return how far a reseed is, or what it did."""
    return _progress(await ctx.app[RESEEDS].get(reseed_id))


def mirror_state(state: MirrorState) -> MirrorStateView:
    """Show in which state the mirror is, and what helps."""
    advice = _advice(state)
    return MirrorStateView(
        state=state.state,
        reason=state.reason,
        reason_code=state.code,
        since=state.since,
        advice=" ".join(advice.values()) or None,
        advice_codes=list(advice),
    )


def _advice(state: MirrorState) -> dict[AdviceCode, str]:
    advice: dict[AdviceCode, str] = {}
    if state.state != "ok":
        helps: AdviceCode = "no_writes" if state.code == "no_writes" else state.state
        advice[helps] = _ADVICE[helps]
    if state.advice is not None:
        # How Valkey is set is a danger in every state, also while all is well.
        advice["eviction"] = state.advice
    return advice


def _look(look: Look | None) -> LookView | None:
    return None if look is None else LookView.model_validate(look, from_attributes=True)


def _progress(found: Reseed) -> ReseedProgressView:
    state, error = ("failed", _LOST) if found.is_lost else (found.state, found.error)
    return ReseedProgressView(
        reseed_id=found.reseed_id,
        state=state,
        asked_at=found.asked_at,
        changed_at=found.changed_at,
        total=found.total,
        mitras=found.mitras,
        healed=found.healed,
        strangers=found.strangers,
        error=error,
        error_code=None if state != "failed" else "lost" if found.is_lost else "failed",
        advice=_AGAIN if state == "failed" else None,
    )
