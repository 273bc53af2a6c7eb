"""What a mitra is told of herself."""

from datetime import datetime
from typing import Literal

import orjson
from pydantic import AwareDatetime

from availability.views.base import View


class StatusView(View):
    """A mitra's own status; `reasons` name what keeps her from getting requests."""

    is_online: bool
    reachable: bool
    available: bool
    load: int
    capacity: int
    last_heartbeat_at: AwareDatetime | None
    reasons: list[Literal["offline", "deactivated", "stale", "full", "service_closed"]]


class HeartbeatView(View):
    """The answer to a heartbeat; an app that was taken offline learns it here."""

    is_online: bool
    next_beat_seconds: float
    server_time: AwareDatetime


def heartbeat_json(*, is_online: bool, next_beat_seconds: float, server_time: datetime) -> bytes:
    """Render a HeartbeatView, letter by letter as the model does, at a quarter of its cost."""
    return orjson.dumps(
        {
            "is_online": is_online,
            "next_beat_seconds": next_beat_seconds,
            "server_time": server_time,
        },
        option=orjson.OPT_UTC_Z,
    )
