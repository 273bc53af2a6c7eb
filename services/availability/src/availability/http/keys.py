"""Where a route finds what it hands over to."""

from datetime import timedelta

from aiohttp import web

from availability.handlers import (
    Beacons,
    Brakes,
    Drift,
    Insight,
    Operators,
    Reseeds,
    ServiceDesk,
    Statuses,
)
from common.clock import Clock

STATUSES = web.AppKey("statuses", Statuses)
BEACONS = web.AppKey("beacons", Beacons)
BRAKES = web.AppKey("brakes", Brakes)
SERVICE = web.AppKey("service", ServiceDesk)
OPERATORS = web.AppKey("operators", Operators)
INSIGHT = web.AppKey("insight", Insight)
DRIFT = web.AppKey("drift", Drift)
RESEEDS = web.AppKey("reseeds", Reseeds)
CLOCK = web.AppKey("clock", Clock)
FRESH_LIMIT = web.AppKey("fresh_limit", timedelta)
NEXT_BEAT = web.AppKey("next_beat_seconds", float)
