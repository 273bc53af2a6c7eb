"""What pairing hears: only the fields it uses."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.bus import Heard


class MitraGone(Heard):
    """A mitra went offline or was deactivated."""

    mitra_id: UUID


class RequestReopened(Heard):
    """A request searches (again)."""

    request_id: UUID
    customer_id: UUID


class DueItem(Heard):
    """One deadline that has passed; the kind is an open set."""

    kind: str
    id: UUID


class SettleDue(Heard):
    """The command of the sweeper: settle these."""

    items: list[DueItem] = Field(max_length=1000)


class Settled(BaseModel):
    """The answer to settle_due: how many moved."""

    model_config = ConfigDict(frozen=True)

    settled: int


class BeaconHeard(Heard):
    """What customers see: is anyone available; told by availability to all replicas."""

    state: str
    count: int = 0
    as_of: AwareDatetime | None = None
    why: str | None = None
    opens_at: AwareDatetime | None = None
