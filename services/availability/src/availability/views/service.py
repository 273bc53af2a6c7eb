"""Service hours as operators read and write them; times of the day are "HH:MM"."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from availability.views.base import View

TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ZoneName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
# What an operator writes for colleagues: a line, not a page.
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Item(BaseModel):
    """A part of what an operator writes, shown again as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OpeningItem(Item):
    """Hours that begin on one day, 1 Monday to 7 Sunday; `closes` <= `opens` is the day after."""

    day: Annotated[int, Field(ge=1, le=7)]
    opens: TimeOfDay
    closes: TimeOfDay


class ExceptionItem(Item):
    """What stands in place of the hours that begin on one date; without times it is closed."""

    date: date
    opens: TimeOfDay | None = None
    closes: TimeOfDay | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.opens is None) != (self.closes is None):
            raise ValueError("give both opens and closes, or neither for a closed date")
        return self


class HoursBody(Item):
    """New hours, in place of all that were; `version` is the one that was read before."""

    version: Annotated[int, Field(ge=1, le=2**62)]
    time_zone: ZoneName
    weekly: Annotated[list[OpeningItem], Field(max_length=50)]
    exceptions: Annotated[list[ExceptionItem], Field(max_length=366)]


class MaintenanceBody(Item):
    """The switch; with `version` only if nobody changed anything since that was read."""

    version: Annotated[int, Field(ge=1, le=2**62)] | None = None
    on: bool
    note: Note | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _off_needs_nothing(self) -> Self:
        if not self.on and (self.note is not None or self.until is not None):
            raise ValueError("note and until go with a switch that is on")
        return self


class MaintenanceView(View):
    """The switch; its end is told when it has one."""

    on: bool
    note: str | None
    until: AwareDatetime | None


class ServiceNowView(View):
    """Whether new requests are taken at this moment; the next change as far as it is known."""

    is_open: bool
    why: Literal["switch", "hours"] | None
    note: str | None
    opens_at: AwareDatetime | None
    closes_at: AwareDatetime | None


class ServiceVersionView(View):
    """What was decided, by whom and when."""

    version: int
    time_zone: str
    weekly: list[OpeningItem]
    exceptions: list[ExceptionItem]
    maintenance: MaintenanceView
    what: Literal["start", "hours", "maintenance"]
    changed_by: UUID | None
    changed_at: AwareDatetime


class ServiceHoursView(ServiceVersionView):
    """What was decided last, and what is so now."""

    now: ServiceNowView


class VersionsQuery(BaseModel):
    """Which part of the history, newest first."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=50)] = 20
    cursor: Annotated[int, Field(ge=1, le=2**62)] | None = None
