"""What travels on the bus: frozen facts as JSON, CloudEvents names in the headers."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

EVENT_SUBJECT = re.compile(r"^evt\.[a-z]+\.[a-z][a-z0-9_]*\.v\d+$")


class Event(BaseModel):
    """A past fact that a service tells: ids and versions, no chat text, no phone number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: ClassVar[str]
    at: AwareDatetime

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subject that is not evt.<service>.<noun_past>.v<n>."""
        super().__pydantic_init_subclass__(**kwargs)
        subject = cls.__dict__.get("subject")
        if subject is not None and not EVENT_SUBJECT.match(subject):
            raise TypeError(f"{cls.__name__}: {subject!r} is no event subject.")


class Heard(BaseModel):
    """The part of somebody's event that we use; whatever else it carries is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Malformed(Exception):
    """What was heard cannot be understood, and will not be better when heard again."""


def service_of(subject: str) -> str:
    """Return the service that tells events of this subject."""
    return subject.split(".", 2)[1]


def event_headers(*, id: UUID, subject: str, at: str, traceparent: str) -> dict[str, str]:  # noqa: A002 - CloudEvents' word
    """Return the envelope of an event; NATS drops a second one with the same id."""
    return {
        "Nats-Msg-Id": str(id),
        "Temani-Id": str(id),
        "Temani-Source": service_of(subject),
        "Temani-Type": subject,
        "Temani-Time": at,
        "Content-Type": "application/json",
        "traceparent": traceparent,
    }


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """Return a header or an empty text; names differ in case from client to client."""
    if not headers:
        return ""
    if name in headers:
        return headers[name]
    lower = name.lower()
    return next((value for key, value in headers.items() if key.lower() == lower), "")
