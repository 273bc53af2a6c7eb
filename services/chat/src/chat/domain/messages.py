"""What is said; the database decides what is accepted, under the session's lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chat import errors
from chat.domain.values import Role

MessageKind = Literal["text", "goodbye"]
Outcome = Literal[
    "accepted", "repeated", "not_found", "mismatch", "goodbye_too_long", "goodbye_said",
    "not_active", "over",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that somebody wants to send."""

    session_id: UUID
    sender_id: UUID
    client_message_id: UUID
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was accepted; `seq` has no gaps within its session."""

    session_id: UUID
    seq: int
    message_id: UUID
    client_message_id: UUID
    sender_id: UUID
    sender_role: Role
    kind: MessageKind
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted (or repeated) message with whom to tell."""

    message: Message
    customer_id: UUID
    mitra_id: UUID
    is_fresh: bool
    is_first_reply: bool


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far one party has received and read."""

    delivered_seq: int
    read_seq: int


REFUSALS: dict[Outcome, type[errors.ChatError]] = {
    "not_found": errors.SessionNotFound,
    "mismatch": errors.MessageMismatch,
    "goodbye_too_long": errors.GoodbyeTooLong,
    "goodbye_said": errors.GoodbyeSaid,
    "not_active": errors.SessionNotActive,
    "over": errors.SessionOver,
}
