"""From values to answers, where several routes answer alike."""

from datetime import datetime, timedelta

from availability.domain import Beacon, Status, is_reachable
from availability.http.keys import BEACONS, CLOCK, FRESH_LIMIT
from availability.views.beacon import BeaconView
from availability.views.statuses import StatusView
from common.web import Context


def beacon_view(beacon: Beacon) -> BeaconView:
    """Show what customers see."""
    return BeaconView(
        state=beacon.state,
        count=beacon.count,
        as_of=beacon.as_of,
        why=beacon.why,
        opens_at=beacon.opens_at,
    )


def status_view(ctx: Context, status: Status) -> StatusView:
    """Show a status as of now; a closed service keeps requests away, and is nobody's status."""
    hindrances = status.hindrances(ctx.app[FRESH_LIMIT])
    closed = ctx.app[BEACONS].closed() is not None
    return StatusView(
        is_online=status.is_online,
        reachable=is_reachable(hindrances),
        available=not hindrances,
        load=status.load,
        capacity=status.capacity,
        last_heartbeat_at=moment(ctx.app[CLOCK].now(), status.beat_age),
        reasons=[*hindrances, *(["service_closed"] if closed else [])],
    )


def moment(now: datetime, age: timedelta | None) -> datetime | None:
    """Return when that was."""
    return None if age is None else now - age
