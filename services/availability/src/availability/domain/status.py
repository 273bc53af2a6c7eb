"""What is known of one mitra, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

OfflineReason = Literal["self", "auto_offline", "operator", "logout", "deactivated"]
Source = Literal["mirror", "postgres"]
Hindrance = Literal["offline", "deactivated", "stale", "full"]


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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silence is borne, in seconds.

    `auto_offline`: of one mitra. `gap`: of all replicas, before it counts as an outage; `grace`:
    after one, until everybody had time to be heard.
    """

    auto_offline: float
    gap: float
    grace: float


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
