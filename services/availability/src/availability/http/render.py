"""From values to answers, where several routes answer alike."""

from datetime import datetime, timedelta

from availability.domain import Status, is_reachable
from availability.http.keys import CLOCK, FRESH_LIMIT
from availability.views.statuses import StatusView
from common.web import Context


def status_view(ctx: Context, status: Status) -> StatusView:
    """Show a status as of now."""
    hindrances = status.hindrances(ctx.app[FRESH_LIMIT])
    return StatusView(
        is_online=status.is_online,
        reachable=is_reachable(hindrances),
        available=not hindrances,
        load=status.load,
        capacity=status.capacity,
        last_heartbeat_at=moment(ctx.app[CLOCK].now(), status.beat_age),
        reasons=list(hindrances),
        source=status.source,
    )


def moment(now: datetime, age: timedelta | None) -> datetime | None:
    """Return when that was."""
    return None if age is None else now - age
