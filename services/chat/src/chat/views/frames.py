"""Frames of the chat socket: what a client may send, and what it is sent."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chat.views.sessions import (
    ExtensionView,
    MessagesView,
    MessageView,
    Sensitivity,
    SessionView,
    Text,
    View,
)
from common.sockets import Frame

Seq = Annotated[int, Field(ge=0)]


class Sent(BaseModel):
    """The data of a client's frame; unknown fields are ignored, so that apps may run ahead."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MessageData(Sent):
    """A message to send."""

    session_id: UUID
    client_message_id: UUID
    text: Text


class SeqData(Sent):
    """A horizon: everything up to `seq` was received or read."""

    session_id: UUID
    seq: Seq


class TypingData(Sent):
    """The sender is writing."""

    session_id: UUID


class BeatData(Sent):
    """A heartbeat."""


class ResumeData(Sent):
    """Where the reader stopped."""

    session_id: UUID
    after_seq: Seq


class StateData(View):
    """Everything that is open, and the messages after the cursor, as many as fit."""

    sessions: list[SessionView]
    messages: list[MessageView]
    server_time: datetime


class AckData(View):
    """The message is stored."""

    session_id: UUID
    client_message_id: UUID
    seq: int
    message_id: UUID
    sent_at: datetime


class WarningData(View):
    """The time is nearly over."""

    session_id: UUID
    seconds_left: int
    ends_at: datetime


class EndsAtData(View):
    """The new deadline."""

    session_id: UUID
    ends_at: datetime


class TopicData(View):
    """The sensitivity now."""

    session_id: UUID
    sensitivity: Sensitivity


class HorizonData(View):
    """How far the other party has received and read."""

    session_id: UUID
    role: Literal["customer", "mitra"]
    seq: int


class TypingTold(View):
    """The other party is writing."""

    session_id: UUID
    role: Literal["customer", "mitra"]


class BeatAckData(View):
    """Whether the mitra is online; null when nobody could say."""

    is_online: bool | None


class StateFrame(Frame):
    """The first frame: the full current state."""

    type: Literal["state"] = "state"
    data: StateData


class MessageFrame(Frame):
    """A message, told after its commit."""

    type: Literal["message"] = "message"
    data: MessageView


class MessagesFrame(Frame):
    """The answer to `resume`."""

    type: Literal["messages"] = "messages"
    data: MessagesView


class AckFrame(Frame):
    """The answer to `message`, after its commit."""

    type: Literal["message_ack"] = "message_ack"
    data: AckData


class SessionFrame(Frame):
    """A session, whenever it changes."""

    type: Literal["session"] = "session"
    data: SessionView


class WarningFrame(Frame):
    """Told some time before the end."""

    type: Literal["warning"] = "warning"
    data: WarningData


class ResumedFrame(Frame):
    """An extension is paid: the session goes on, before or after its old end, to the new one."""

    type: Literal["session_resumed"] = "session_resumed"
    data: EndsAtData


class TopicFrame(Frame):
    """The topic's sensitivity was raised."""

    type: Literal["session_topic_updated"] = "session_topic_updated"
    data: TopicData


class ExtensionFrame(Frame):
    """An extension, whenever it changes."""

    type: Literal["extension"] = "extension"
    data: ExtensionView


class ReadFrame(Frame):
    """The other party has read."""

    type: Literal["read"] = "read"
    data: HorizonData


class DeliveredFrame(Frame):
    """The other party's app has received."""

    type: Literal["delivered"] = "delivered"
    data: HorizonData


class TypingFrame(Frame):
    """The other party is writing."""

    type: Literal["typing"] = "typing"
    data: TypingTold


class BeatAckFrame(Frame):
    """The answer to `beat`."""

    type: Literal["beat_ack"] = "beat_ack"
    data: BeatAckData


INCOMING: dict[str, type[BaseModel]] = {
    "message": MessageData,
    "read": SeqData,
    "delivered": SeqData,
    "typing": TypingData,
    "beat": BeatData,
    "resume": ResumeData,
}

OUT: tuple[type[Frame], ...] = (
    StateFrame,
    MessageFrame,
    MessagesFrame,
    AckFrame,
    SessionFrame,
    WarningFrame,
    ResumedFrame,
    TopicFrame,
    ExtensionFrame,
    ReadFrame,
    DeliveredFrame,
    TypingFrame,
    BeatAckFrame,
)
