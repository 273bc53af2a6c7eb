"""What pairing says: past facts, ids only; bodies written in SQL match these models."""

from typing import ClassVar
from uuid import UUID

from common.bus import Event


class RequestOpened(Event):
    """A customer searches for a mitra: for the first time or after a reroute."""

    subject: ClassVar[str] = "evt.pairing.request_opened.v1"

    request_id: UUID
    customer_id: UUID


class OffersSent(Event):
    """A ring of mitras was asked."""

    subject: ClassVar[str] = "evt.pairing.offers_sent.v1"

    request_id: UUID
    ring: int
    mitra_ids: list[UUID]


class RequestMatched(Event):
    """A mitra accepted first; her session exists."""

    subject: ClassVar[str] = "evt.pairing.request_matched.v1"

    request_id: UUID
    customer_id: UUID
    mitra_id: UUID
    session_id: UUID


class RequestExpired(Event):
    """Nobody accepted within the wait."""

    subject: ClassVar[str] = "evt.pairing.request_expired.v1"

    request_id: UUID
    customer_id: UUID


class RequestCancelled(Event):
    """The customer does not want to wait any more."""

    subject: ClassVar[str] = "evt.pairing.request_cancelled.v1"

    request_id: UUID
    customer_id: UUID


ALL: tuple[type[Event], ...] = (
    RequestOpened,
    OffersSent,
    RequestMatched,
    RequestExpired,
    RequestCancelled,
)
