"""What chat says: past facts with ids and versions; bodies written in SQL match these models."""

from typing import ClassVar
from uuid import UUID

from common.bus import Event


class SessionEvent(Event):
    """A session made a step; `version` grows with each."""

    session_id: UUID
    request_id: UUID
    customer_id: UUID
    mitra_id: UUID
    version: int
    reason: str | None = None


class SessionCreated(SessionEvent):
    """A request was accepted: the session exists and holds a slot."""

    subject: ClassVar[str] = "evt.chat.session_created.v1"


class SessionActivated(SessionEvent):
    """The payment arrived: the paid time runs."""

    subject: ClassVar[str] = "evt.chat.session_activated.v1"


class SessionExtended(SessionEvent):
    """Paid time was added before the end."""

    subject: ClassVar[str] = "evt.chat.session_extended.v1"


class SessionExpired(SessionEvent):
    """The paid time is over, or an expired session changed whether it holds its slot."""

    subject: ClassVar[str] = "evt.chat.session_expired.v1"


class SessionResumed(SessionEvent):
    """Paid time was added after the end: the session is active again."""

    subject: ClassVar[str] = "evt.chat.session_resumed.v1"


class SessionClosing(SessionEvent):
    """The goodbye phase has begun; the slot is free."""

    subject: ClassVar[str] = "evt.chat.session_closing.v1"


class SessionCompleted(SessionEvent):
    """The session is over for ever."""

    subject: ClassVar[str] = "evt.chat.session_completed.v1"


class SessionCancelled(SessionEvent):
    """The session never began: it was not paid."""

    subject: ClassVar[str] = "evt.chat.session_cancelled.v1"


class SessionRerouted(SessionEvent):
    """The mitra was absent: the request searches for another."""

    subject: ClassVar[str] = "evt.chat.session_rerouted.v1"


class TopicUpdated(Event):
    """The topic's sensitivity was raised."""

    subject: ClassVar[str] = "evt.chat.topic_updated.v1"

    session_id: UUID
    customer_id: UUID
    mitra_id: UUID
    sensitivity: str


class CapacityChanged(Event):
    """A mitra may hold more or fewer sessions from now on."""

    subject: ClassVar[str] = "evt.chat.capacity_changed.v1"

    mitra_id: UUID
    capacity: int
    version: int


SESSION_EVENTS: dict[str, type[SessionEvent]] = {
    "session_created": SessionCreated,
    "session_activated": SessionActivated,
    "session_extended": SessionExtended,
    "session_expired": SessionExpired,
    "session_resumed": SessionResumed,
    "session_closing": SessionClosing,
    "session_completed": SessionCompleted,
    "session_cancelled": SessionCancelled,
    "session_rerouted": SessionRerouted,
}
