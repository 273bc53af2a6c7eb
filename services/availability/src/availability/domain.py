"""Who can take work: the rules, as plain values and functions of time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

BeaconState = Literal["available", "all_busy", "none_online", "disabled"]
OfflineReason = Literal["self", "auto_offline", "operator", "logout", "deactivated"]
Source = Literal["mirror", "postgres"]
Hindrance = Literal["offline", "deactivated", "stale", "full"]

TELL_COUNT_EVERY = timedelta(seconds=2)
BEACON_MAX_AGE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Status:
    """One mitra: her wish, what operators say, her last beat, her load."""

    mitra_id: UUID
    is_online: bool
    is_active: bool
    beat_age: timedelta | None
    load: int
    capacity: int
    source: Source

    def hindrances(self, fresh_limit: timedelta) -> list[Hindrance]:
        """Return each fact that keeps her from being available; none means available."""
        found: list[Hindrance] = []
        if not self.is_online:
            found.append("offline")
        if not self.is_active:
            found.append("deactivated")
        if self.is_online and (self.beat_age is None or self.beat_age >= fresh_limit):
            found.append("stale")
        if self.load >= self.capacity:
            found.append("full")
        return found


def is_reachable(hindrances: list[Hindrance]) -> bool:
    """Return whether nothing but a full load hinders her."""
    return all(hindrance == "full" for hindrance in hindrances)


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


@dataclass(frozen=True, slots=True)
class Change:
    """What a guarded change of is_online did."""

    mitra_id: UUID
    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Stale:
    """A mitra whose beats ceased: the version and the beat that the sweep saw."""

    mitra_id: UUID
    status_version: int
    seen_at_ms: int


# The same beat, read back from Postgres by its age, may move by what the reading took.
SAME_BEAT_MS = 1000


def still_stale(items: list[Stale], beats: dict[UUID, int]) -> list[Stale]:
    """Return those who have not beaten since the sweep looked; `beats` are of those online."""
    return [
        item
        for item in items
        if (beat := beats.get(item.mitra_id)) is not None and beat <= item.seen_at_ms + SAME_BEAT_MS
    ]


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A mitra as operators see her in the list."""

    mitra_id: UUID
    display_name: str | None
    is_online: bool
    is_active: bool
    beat_age: timedelta | None
    went_online_at: datetime | None
    offline_reason: str | None
    load: int
    capacity: int
