"""Service hours as operators write them; when the service is open, Postgres reckons from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from typing import Literal, Self
from uuid import UUID

Why = Literal["switch", "hours"]

_DAY = 24 * 60
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Span:
    """From one time of the day to another; `closes` <= `opens` means the day after."""

    opens: time
    closes: time

    @classmethod
    def read(cls, opens: str, closes: str) -> Self:
        """Read two times such as "08:00"."""
        return cls(time.fromisoformat(opens), time.fromisoformat(closes))

    def written(self) -> dict[str, str]:
        """Write both times down again."""
        return {"opens": f"{self.opens:%H:%M}", "closes": f"{self.closes:%H:%M}"}

    @property
    def begins(self) -> int:
        """Return the minute of the day."""
        return self.opens.hour * 60 + self.opens.minute

    @property
    def ends(self) -> int:
        """Return the minute, counted from the beginning of the day on which it begins."""
        minute = self.closes.hour * 60 + self.closes.minute
        return minute + _DAY if minute <= self.begins else minute


@dataclass(frozen=True, slots=True)
class Opening:
    """Hours that begin on one day of every week: 1 Monday to 7 Sunday."""

    day: int
    span: Span


@dataclass(frozen=True, slots=True)
class DateHours:
    """What stands in place of the weekly hours that begin on one date; without a span: closed."""

    date: date
    span: Span | None


@dataclass(frozen=True, slots=True)
class Hours:
    """When the service is open, on the clocks of its zone; without weekly hours: always."""

    time_zone: str
    weekly: tuple[Opening, ...] = ()
    exceptions: tuple[DateHours, ...] = ()


@dataclass(frozen=True, slots=True)
class Maintenance:
    """The switch that closes the service whatever its hours, maybe with an end of its own."""

    on: bool
    note: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceVersion:
    """What was decided about the service's hours, by whom and when."""

    version: int
    hours: Hours
    maintenance: Maintenance
    what: Literal["start", "hours", "maintenance"]
    changed_by: UUID | None
    changed_at: datetime


def overlapping(weekly: Sequence[Opening]) -> Opening | None:
    """Return an opening that begins before the one before it has ended; the week goes round."""
    order = sorted(weekly, key=lambda opening: (opening.day, opening.span.begins))
    for one, other in pairwise(order):
        if one.span.ends > (other.day - one.day) * _DAY + other.span.begins:
            return other
    if order and _runs_into(order[-1], order[0]):
        return order[0]
    return None


def clashing(exceptions: Sequence[DateHours]) -> date | None:
    """Return a date that is both closed and open, or whose hours begin before others have ended."""
    order = sorted(exceptions, key=lambda e: (e.date, 0 if e.span is None else e.span.begins))
    for one, other in pairwise(order):
        days = (other.date - one.date).days
        if one.span is None or other.span is None:
            if days == 0:
                return other.date
        elif one.span.ends > days * _DAY + other.span.begins:
            return other.date
    return None


def _runs_into(last: Opening, first: Opening) -> bool:
    ends = (last.day - 1) * _DAY + last.span.ends
    return ends > _WEEK + (first.day - 1) * _DAY + first.span.begins
