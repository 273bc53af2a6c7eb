"""What availability hears: only the fields it uses."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.bus import Heard


class MitraChanged(Heard):
    """A mitra was made, switched off or switched on, or a session or her capacity changed."""

    mitra_id: UUID


class LoginRevoked(Heard):
    """A login ended."""

    login_id: UUID
    user_id: UUID
    role: str


class StaleItem(Heard):
    """A mitra whose beats ceased, as the sweep saw her."""

    mitra_id: UUID
    status_version: int = Field(ge=0, lt=2**63)
    seen_at_ms: int = Field(ge=0, lt=2**63)


class MarkOffline(Heard):
    """The command of the auto-offline sweep.

    A late or repeated one does no harm: the version and the beats are looked at again.
    """

    reason: str = "auto_offline"
    fence: int = Field(default=0, ge=0, lt=2**63)
    items: list[StaleItem] = Field(max_length=5000)


class MarkedOffline(BaseModel):
    """The answer to mark_offline."""

    model_config = ConfigDict(frozen=True)

    offline: int
    refused: int


class DueItem(Heard):
    """One row that is due; the kind is an open set."""

    kind: str
    id: UUID


class SettleDue(Heard):
    """The command of the sweeper: settle these."""

    items: list[DueItem] = Field(max_length=1000)


class Settled(BaseModel):
    """The answer to settle_due: how many moved."""

    model_config = ConfigDict(frozen=True)

    settled: int
