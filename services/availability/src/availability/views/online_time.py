"""How long a mitra was online."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from availability.views.base import View

# Nobody was online before; and a day before the year 1 there is nothing to count back to.
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _not_ancient(moment: datetime) -> datetime:
    if moment < _EARLIEST:
        raise ValueError("nobody was online before the year 2000")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_not_ancient)]


class OnlineTimeQuery(BaseModel):
    """Which window, 62 days at the most: up to now and a day long unless said otherwise."""

    model_config = ConfigDict(extra="forbid")

    starts_at: Moment | None = Field(default=None, alias="from")
    ends_at: Moment | None = Field(default=None, alias="to")
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: UUID | None = None


class IntervalView(View):
    """A time online, clipped to the window; open: she was still online at the window's end."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    seconds: float
    reason: Literal["self", "auto_offline", "operator", "logout", "deactivated"] | None
    is_open: bool
    went_online_at: AwareDatetime


class OnlineTimeView(View):
    """`seconds` and `count` are of the whole window, also where the list is only a page of it.

    `ends_at` is never later than now. A window that has passed is answered the same for ever.
    """

    mitra_id: UUID
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    seconds: float
    count: int
    items: list[IntervalView]
    next_cursor: str | None
