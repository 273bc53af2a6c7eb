"""What customers see, and when it is worth telling."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

BeaconState = Literal["available", "all_busy", "none_online", "disabled"]

TELL_COUNT_EVERY = timedelta(seconds=2)
BEACON_MAX_AGE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Beacon:
    """What customers see: whether anyone is available, and how many."""

    state: BeaconState
    count: int
    as_of: datetime


def light(*, is_open: bool, reachable: int, available: int, now: datetime) -> Beacon:
    """Return the beacon for these counts."""
    if not is_open:
        return Beacon("disabled", 0, now)
    if reachable <= 0:
        return Beacon("none_online", 0, now)
    if available <= 0:
        return Beacon("all_busy", 0, now)
    return Beacon("available", available, now)


def worth_telling(beacon: Beacon, last: Beacon | None) -> bool:
    """Return whether open sockets should hear it: a new state at once, a new count not too often.

    `last` is what was told last; None when nobody remembers.
    """
    if last is None or beacon.state != last.state:
        return True
    return beacon.count != last.count and beacon.as_of - last.as_of >= TELL_COUNT_EVERY
