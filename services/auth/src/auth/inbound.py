"""What auth hears: only the fields it uses."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from common.bus import Heard


class DueItem(Heard):
    """One row that somebody saw past its time."""

    kind: str
    id: UUID


class SettleDue(Heard):
    """Settle these rows if they really are due (cmd.auth.settle_due.v1)."""

    items: Annotated[list[DueItem], Field(max_length=1000)]


class LoginSeen(Heard):
    """A service has honoured an access token of this generation (hint.auth.login_seen)."""

    login_id: UUID
    generation: Annotated[int, Field(ge=0, le=2**62)]
