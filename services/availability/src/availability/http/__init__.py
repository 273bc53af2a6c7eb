"""The HTTP routes of availability: parse, hand over, render."""

from typing import Final

from availability.http.beacon import ROUTES as BEACON_ROUTES
from availability.http.keys import (
    BEACONS,
    CLOCK,
    FRESH_LIMIT,
    NEXT_BEAT,
    OPERATORS,
    SERVICE,
    STATUSES,
)
from availability.http.operators import ROUTES as OPERATOR_ROUTES
from availability.http.refusals import STATUS
from availability.http.service import ROUTES as SERVICE_ROUTES
from availability.http.statuses import ROUTES as STATUS_ROUTES

ROUTES: Final = (STATUS_ROUTES, BEACON_ROUTES, OPERATOR_ROUTES, SERVICE_ROUTES)

__all__ = [
    "BEACONS",
    "CLOCK",
    "FRESH_LIMIT",
    "NEXT_BEAT",
    "OPERATORS",
    "ROUTES",
    "SERVICE",
    "STATUS",
    "STATUSES",
]
