"""One event as it arrived."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeVar
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import BaseModel, ValidationError

from common.bus.envelope import Malformed, header

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Delivery:
    """An event with its envelope; `redelivered` counts the earlier deliveries."""

    subject: str
    id: UUID
    time: datetime
    body: bytes
    redelivered: int
    headers: Mapping[str, str]
    stream: str
    stream_seq: int

    def parse(self, model: type[M]) -> M:
        """Read the body as this model; Malformed if it is not one."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            raise Malformed(f"{self.subject}: {_reasons(error)}") from error

    @classmethod
    def of(cls, message: Msg) -> Self:
        """Read the envelope; Malformed if the event has no id."""
        headers = dict(message.headers or {})
        event_id = cls.id_of(headers)
        if event_id is None:
            raise Malformed(f"{message.subject}: no event id")
        metadata = message.metadata
        return cls(
            subject=message.subject,
            id=event_id,
            time=_time(headers, metadata.timestamp),
            body=message.data,
            redelivered=max(0, metadata.num_delivered - 1),
            headers=headers,
            stream=metadata.stream,
            stream_seq=metadata.sequence.stream,
        )

    @staticmethod
    def id_of(headers: Mapping[str, str]) -> UUID | None:
        """Return the event's id, if its headers hold one."""
        text = header(headers, "Temani-Id") or header(headers, "Nats-Msg-Id")
        try:
            return UUID(text)
        except ValueError:
            return None


def _time(headers: Mapping[str, str], stored: datetime) -> datetime:
    try:
        told = datetime.fromisoformat(header(headers, "Temani-Time"))
    except ValueError:
        return stored
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _reasons(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}" for detail in details
    )
