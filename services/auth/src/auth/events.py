"""What auth says: past facts with ids and versions; never a phone number or a name."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.bus import Event

Role = Literal["customer", "mitra", "operator"]
RevokeReason = Literal["logout", "revoked", "evicted", "refresh_reused", "deactivated", "operator"]


class MitraCreated(Event):
    """An operator made a mitra."""

    subject: ClassVar[str] = "evt.auth.mitra_created.v1"

    mitra_id: UUID
    version: int
    capacity: int


class MitraDeactivated(Event):
    """An operator switched a mitra off; her logins were revoked in the same transaction."""

    subject: ClassVar[str] = "evt.auth.mitra_deactivated.v1"

    mitra_id: UUID
    version: int
    reason: str | None


class MitraReactivated(Event):
    """An operator switched a mitra on again."""

    subject: ClassVar[str] = "evt.auth.mitra_reactivated.v1"

    mitra_id: UUID
    version: int


class LoginRevoked(Event):
    """A login was ended before its time; its tokens and sockets are worth nothing any more."""

    subject: ClassVar[str] = "evt.auth.login_revoked.v1"

    login_id: UUID
    user_id: UUID
    role: Role
    reason: RevokeReason


class ConfigChanged(Event):
    """An operator changed settings."""

    subject: ClassVar[str] = "evt.auth.config_changed.v1"

    section: str
    version: int


class LoginsRevokedPush(BaseModel):
    """Told at once to every process (rt.auth.login_revoked): close what these logins hold open."""

    model_config = ConfigDict(frozen=True)

    login_ids: list[UUID]
