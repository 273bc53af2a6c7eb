"""What availability says."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from common.bus import Event

OfflineReason = Literal["self", "auto_offline", "operator", "logout", "deactivated"]


class MitraOnline(Event):
    """A mitra went online."""

    subject: ClassVar[str] = "evt.availability.mitra_online.v1"

    mitra_id: UUID
    version: int


class MitraOffline(Event):
    """A mitra went offline, or was taken offline."""

    subject: ClassVar[str] = "evt.availability.mitra_offline.v1"

    mitra_id: UUID
    version: int
    reason: OfflineReason


class BeaconTold(BaseModel):
    """Told at once to every process (rt.availability.beacon): what customers see now."""

    model_config = ConfigDict(frozen=True)

    state: Literal["available", "all_busy", "none_online", "disabled"]
    count: int
    as_of: AwareDatetime
    # While the service is closed: why, and when it opens, as far as that is known.
    why: Literal["switch", "hours"] | None = None
    opens_at: AwareDatetime | None = None
