"""What the handlers need from outside of the database."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, Protocol
from uuid import UUID

from auth.domain.otp import Channel


class RevokedStore(Protocol):
    """The rows behind the revoked keys in Valkey."""

    async def untold(self, *, seconds: float, limit: int) -> list[UUID]:
        """List logins revoked within `seconds` that Valkey has not been told of."""
        ...

    async def revoked(self, *, seconds: float) -> list[UUID]:
        """List all logins revoked within `seconds`."""
        ...

    async def told(self, login_ids: Sequence[UUID]) -> None:
        """Valkey knows of these."""
        ...


class RevokedKeys(Protocol):
    """The revoked keys in Valkey; all raise KeysAway."""

    async def state(self) -> Literal["kept", "absent"]:
        """Whether the keys are complete as of this Valkey process."""
        ...

    async def put(self, login_ids: Sequence[UUID]) -> None:
        """Write keys."""
        ...

    async def vouch(self) -> None:
        """Say, for a while, that the keys are complete."""
        ...


class KeysAway(Exception):
    """Valkey does not answer."""


class Announcer(Protocol):
    """Tells at once what was revoked; never waits, never raises."""

    def revoked(self, login_ids: Sequence[UUID]) -> None:
        """Close sockets and refuse tokens of these logins everywhere."""
        ...


class Phones(Protocol):
    """Reads phone numbers."""

    def normalise(self, text: str) -> str:
        """Return E.164; raises PhoneInvalid or PhoneNotAllowed."""
        ...


class SendFailed(Exception):
    """The provider certainly did not send."""


class SendRefused(SendFailed):
    """The provider is well and says no to this message."""


class SendUncertain(Exception):
    """The provider did not answer in time; it may have sent."""


class OtpSender(Protocol):
    """Sends codes."""

    def ready(self) -> bool:
        """Whether sending makes sense now."""
        ...

    async def send(self, *, phone: str, code: str, channel: Channel) -> None:
        """Send once; raises SendFailed or SendUncertain."""
        ...


class Signer(Protocol):
    """Makes access tokens."""

    def access_token(self, claims: Mapping[str, Any]) -> str:
        """Sign."""
        ...


class Hasher(Protocol):
    """Hashes passwords, a few at a time; raises PasswordsBusy when too many wait."""

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Check; None stands for an unknown account and takes as long."""
        ...

    async def hash(self, password: str) -> str:
        """Return a hash."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether a hash should be replaced at the next sign-in."""
        ...

    def score(self, password: str, context: Sequence[str]) -> int:
        """Say how hard a password is to guess, 0 to 4."""
        ...


Spawn = Callable[[Coroutine[Any, Any, object], str], None]
