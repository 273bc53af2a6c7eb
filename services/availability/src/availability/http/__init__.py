"""The HTTP routes of availability: parse, hand over, render."""

from typing import Final

from availability.http.beacon import ROUTES as BEACON_ROUTES
from availability.http.brake import ROUTES as BRAKE_ROUTES
from availability.http.insight import ROUTES as INSIGHT_ROUTES
from availability.http.keys import (
    BEACONS,
    BRAKES,
    CLOCK,
    DRIFT,
    FRESH_LIMIT,
    INSIGHT,
    NEXT_BEAT,
    OPERATORS,
    RESEEDS,
    SERVICE,
    STATUSES,
)
from availability.http.mirror import ROUTES as MIRROR_ROUTES
from availability.http.operators import ROUTES as OPERATOR_ROUTES
from availability.http.refusals import STATUS
from availability.http.service import ROUTES as SERVICE_ROUTES
from availability.http.statuses import ROUTES as STATUS_ROUTES

ROUTES: Final = (
    STATUS_ROUTES,
    BEACON_ROUTES,
    OPERATOR_ROUTES,
    BRAKE_ROUTES,
    SERVICE_ROUTES,
    INSIGHT_ROUTES,
    MIRROR_ROUTES,
)

__all__ = [
    "BEACONS",
    "BRAKES",
    "CLOCK",
    "DRIFT",
    "FRESH_LIMIT",
    "INSIGHT",
    "NEXT_BEAT",
    "OPERATORS",
    "RESEEDS",
    "ROUTES",
    "SERVICE",
    "STATUS",
    "STATUSES",
]
