"""Why a token is not accepted, and who asks when it is."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

Role = Literal["customer", "mitra", "operator"]


class TokenInvalid(Exception):
    """The access token is not valid."""

    code: ClassVar[str] = "unauthenticated"


class TokenExpired(TokenInvalid):
    """The access token has expired."""

    code: ClassVar[str] = "token_expired"


class KeysUnavailable(Exception):
    """Tokens cannot be verified right now; try again later."""

    code: ClassVar[str] = "unavailable"

    def __init__(self, retry_after: float = 2.0) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as a verified token says it."""

    user_id: UUID
    role: Role
    login_id: UUID
    audience: str
    expires_at: datetime
    generation: int
    rate_key: str = field(init=False, repr=False, compare=False)
    """Under which name her requests are counted; made once, as it is needed with each."""

    def __post_init__(self) -> None:
        """Make the name."""
        object.__setattr__(self, "rate_key", f"user:{self.user_id}")
