"""The small values that everything else is made of."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Moment = datetime
Role = Literal["customer", "mitra"]
Sensitivity = Literal["normal", "sensitive"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each step may take; warnings are the seconds before the end."""

    payment_hold: timedelta
    show_up: timedelta
    # Without a sign of life for this long a mitra who has not replied yet is lost.
    silence: timedelta
    # The same, counted from the loss of her last socket.
    lost: timedelta
    warnings: tuple[int, ...]
    extension_answer: timedelta
    expired_window: timedelta
    closing_grace: timedelta


@dataclass(frozen=True, slots=True)
class Tier:
    """A price tier as frozen into a session or an extension."""

    tier_id: str
    version: int
    duration_seconds: int
    price_idr: int

    @property
    def duration(self) -> timedelta:
        """The paid time."""
        return timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class TierVersion:
    """One version of a price tier, as offered (or not) to customers."""

    tier_id: str
    version: int
    name: str
    duration_seconds: int
    price_idr: int
    is_offered: bool

    @property
    def frozen(self) -> Tier:
        """The part that a session keeps."""
        return Tier(self.tier_id, self.version, self.duration_seconds, self.price_idr)


@dataclass(frozen=True, slots=True)
class Due:
    """One deadline that has passed."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class SensitivityChange:
    """One row of the sensitivity log."""

    changed_by: UUID
    role: str
    from_level: Sensitivity
    to_level: Sensitivity
    reason: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many sessions a mitra may hold, how many she holds, and the version of both."""

    mitra_id: UUID
    capacity: int
    load: int
    version: int
