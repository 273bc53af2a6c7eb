"""What customers see, and when it is worth telling."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from availability.domain.hours import Why

BeaconState = Literal["available", "all_busy", "none_online", "disabled"]

TELL_COUNT_SECONDS = 2.0
BEACON_MAX_AGE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Beacon:
    """What customers see: whether anyone is available, and how many.

    While the service is closed: why, and when it opens, as far as that is known.
    """

    state: BeaconState
    count: int
    as_of: datetime
    why: Why | None = None
    opens_at: datetime | None = None

    def says_as(self, other: "Beacon | None") -> bool:
        """Return whether both say the same, whenever it was found out."""
        return other is not None and replace(self, as_of=other.as_of) == other


def dark(*, why: Why | None, opens_at: datetime | None, now: datetime) -> Beacon:
    """Return the beacon of a closed service: nobody counts, whoever is there."""
    return Beacon("disabled", 0, now, why, opens_at)


def light(*, reachable: int, available: int, now: datetime) -> Beacon:
    """Return the beacon of an open service for these counts."""
    if reachable <= 0:
        return Beacon("none_online", 0, now)
    if available <= 0:
        return Beacon("all_busy", 0, now)
    return Beacon("available", available, now)


def worth_telling(beacon: Beacon, last: Beacon | None, *, told_ago: float) -> bool:
    """Return whether open sockets should hear it: a new state at once, a new count not too often.

    `last` is what was told last, so many seconds ago; None when nobody remembers.
    """
    if last is None:
        return True
    if (beacon.state, beacon.why, beacon.opens_at) != (last.state, last.why, last.opens_at):
        return True
    return beacon.count != last.count and told_ago >= TELL_COUNT_SECONDS
