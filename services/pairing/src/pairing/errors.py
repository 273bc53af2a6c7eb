"""What can go wrong in a pairing, by code; the docstring is the message."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID


class PairingError(Exception):
    """The pairing could not be done."""

    code: ClassVar[str] = "pairing_error"

    def fields(self) -> dict[str, object]:
        """Return what the problem document says besides its code."""
        return {}


class RequestNotFound(PairingError):
    """There is no such request of yours."""

    code: ClassVar[str] = "request_not_found"


class RequestOpen(PairingError):
    """You already have an open request."""

    code: ClassVar[str] = "request_open"

    def __init__(self, request_id: UUID | None) -> None:
        super().__init__()
        self.request_id = request_id

    def fields(self) -> dict[str, object]:
        """Name the open request, unless it was settled in the same moment."""
        return {} if self.request_id is None else {"request_id": str(self.request_id)}


class ServiceClosed(PairingError):
    """No new requests are taken now; what is under way goes on."""

    code: ClassVar[str] = "service_closed"

    def __init__(self, *, why: str | None, opens_at: datetime | None) -> None:
        super().__init__()
        self.why = why
        self.opens_at = opens_at

    def fields(self) -> dict[str, object]:
        """Say why, and when to come back, as far as that is known."""
        return {
            "why": self.why,
            "opens_at": None if self.opens_at is None else self.opens_at.isoformat(),
        }


class RequestSettled(PairingError):
    """This request is settled and cannot be changed any more."""

    code: ClassVar[str] = "request_settled"


class TierUnknown(PairingError):
    """No such price tier is on offer."""

    code: ClassVar[str] = "tier_unknown"


class OfferNotFound(PairingError):
    """There is no such offer of yours."""

    code: ClassVar[str] = "offer_not_found"


class RequestTaken(PairingError):
    """Another mitra accepted first."""

    code: ClassVar[str] = "request_taken"


class OfferExpired(PairingError):
    """This offer is not open any more."""

    code: ClassVar[str] = "offer_expired"


class MitraFull(PairingError):
    """All your session slots are taken."""

    code: ClassVar[str] = "mitra_full"


class MitraInactive(PairingError):
    """Your account is deactivated."""

    code: ClassVar[str] = "mitra_inactive"


class PresenceUnavailable(PairingError):
    """Neither the mirror nor Postgres could say who is available."""

    code: ClassVar[str] = "presence_unavailable"
