"""What operators see: the numbers, the list, the reseed."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from availability.views.base import View
from availability.views.beacon import BeaconView
from availability.views.brake import BrakeView
from availability.views.drift import MirrorStateView
from availability.views.statuses import StatusView


class SummaryView(View):
    """The dashboard's numbers; `loads` counts online mitras by the slots they hold.

    Null while neither store answers.
    """

    online: int
    reachable: int
    available: int
    busy: int
    as_of: AwareDatetime
    source: Literal["mirror", "postgres"]
    # In any state but `ok` Postgres answers: worth a banner.
    mirror: MirrorStateView
    # A stopped pass of auto-offline, as it was seen a second ago at most: worth another banner.
    brake: BrakeView | None
    # What customers see of it.
    beacon: BeaconView
    loads: dict[int, int] | None
    loads_as_of: AwareDatetime | None
    loads_source: Literal["mirror", "postgres"] | None


class ForcedOfflineView(StatusView):
    """A mitra's status after an operator ended it; `source` answered."""

    source: Literal["mirror", "postgres"]


class RosterView(View):
    """A mitra in the operators' list."""

    mitra_id: UUID
    display_name: str | None
    is_online: bool
    is_active: bool
    reachable: bool
    available: bool
    load: int
    capacity: int
    last_heartbeat_at: AwareDatetime | None
    went_online_at: AwareDatetime | None
    offline_reason: str | None


class RosterQuery(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None
    online: bool | None = None


class ReseedView(View):
    """A reseed was ordered; it runs in the background: ask for it by its id."""

    state: Literal["started"]
    reseed_id: UUID
