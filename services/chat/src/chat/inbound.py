"""What chat hears: only the fields it uses."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.bus import Heard


class MitraCreated(Heard):
    """A mitra exists, with the capacity she starts with."""

    mitra_id: UUID
    capacity: int = Field(ge=1, le=20)


class MitraDeactivated(Heard):
    """A mitra was switched off."""

    mitra_id: UUID


class LoginRevoked(Heard):
    """A login is worth nothing any more."""

    login_id: UUID


class SessionMoved(Heard):
    """A session was opened or moved on; said by open_session_v1 in a neighbour's transaction."""

    session_id: UUID


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
