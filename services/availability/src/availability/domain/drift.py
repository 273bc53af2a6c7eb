"""What the mirror held otherwise than Postgres, and the last full looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

FoundBy = Literal["reconcile", "reseed", "beat"]
LookKind = Literal["reconcile", "reseed"]
ReseedState = Literal["waiting", "running", "done", "failed"]

KEEP_DAYS = 7
# A replica tells how far it is each second or so; after this much silence it is gone.
LOST_AFTER = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Drifted:
    """One fact that the mirror had otherwise; it is mended. None: it held nothing."""

    drift_id: UUID
    mitra_id: UUID
    display_name: str | None
    fact: str
    cause: str
    mirror: str | None
    postgres: str | None
    found_at: datetime
    at_most_seconds: float | None
    found_by: FoundBy


@dataclass(frozen=True, slots=True)
class Look:
    """A full comparison of the mirror with Postgres."""

    mitras: int
    found: int
    healed: int
    started_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Looks:
    """The last look of each kind; None: there was none yet."""

    reconcile: Look | None
    reseed: Look | None


@dataclass(frozen=True, slots=True)
class DriftPage:
    """The newest drift first, and where the next page starts."""

    items: Sequence[Drifted]
    next_cursor: UUID | None


@dataclass(frozen=True, slots=True)
class Reseed:
    """A reseed that an operator ordered; `age` since it last said anything."""

    reseed_id: UUID
    state: ReseedState
    asked_at: datetime
    total: int
    mitras: int
    healed: int | None
    strangers: int | None
    error: str | None
    changed_at: datetime
    age: timedelta

    @property
    def is_lost(self) -> bool:
        """Return whether the replica that did it is gone."""
        return self.state in ("waiting", "running") and self.age > LOST_AFTER
