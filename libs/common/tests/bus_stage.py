"""What the tests of the bus say and hear."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from common import baseline, trace
from common.bus import (
    Bus,
    BusUnavailable,
    DeadLetters,
    Delivery,
    Heard,
)
from common.bus.envelope import event_headers
from common.db import Database
from common.ids import new_id


def fresh_subject() -> str:
    """Return a subject of its own for a test: the stream keeps what earlier tests told."""
    return f"evt.auth.thing_{uuid4().hex}.v1"


class Thing(Heard):
    """What the consumer uses."""

    thing_id: UUID


class Ask(BaseModel):
    """A command."""

    number: int


class Answer(BaseModel):
    """Its answer."""

    double: int


async def publish(
    bus: Bus, subject: str, body: bytes | None = None, *, event_id: UUID | None = None
) -> UUID:
    """Put one event into the stream; its thing_id is its own id.

    It may be heard before this returns: what shall happen to it is arranged with an id of before.
    """
    event_id = event_id or new_id()
    at = datetime.now(UTC).isoformat()
    headers = event_headers(id=event_id, subject=subject, at=at, traceparent=trace.traceparent())
    text = f'{{"thing_id": "{event_id}", "more": 1}}'.encode() if body is None else body
    # As the relay does: no word in time means "unknown", and the same id is stored once.
    with contextlib.suppress(BusUnavailable):
        await bus.publish_event(id=event_id, subject=subject, body=text, headers=headers)
        return event_id
    await bus.publish_event(id=event_id, subject=subject, body=text, headers=headers)
    return event_id


class Listener:
    """A fresh durable consumer whose behaviour is given per event."""

    def __init__(self, bus: Bus) -> None:
        self.durable = f"test-{uuid4().hex}"
        self.subject = fresh_subject()
        self.seen: list[UUID] = []
        self.failing: dict[UUID, Exception] = {}
        bus.consume(
            stream="AUTH", durable=self.durable, subjects=[self.subject], handler=self._take
        )

    async def _take(self, delivery: Delivery) -> None:
        self.seen.append(delivery.id)
        if (error := self.failing.get(delivery.id)) is not None:
            raise error
        delivery.parse(Thing)

    def times(self, event_id: UUID) -> int:
        """How often this event was delivered."""
        return self.seen.count(event_id)


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff in hundredths: the steps are the settings' test."""
    monkeypatch.setattr(baseline, "CONSUMER_BACKOFF", (0.01, 0.02, 0.05))


async def waiting(db: Database, durable: str) -> list[tuple[UUID | None, str]]:
    """What lies buried for this consumer."""
    letters = await DeadLetters(db).waiting(1000)
    return [(letter.event_id, letter.reason) for letter in letters if letter.consumer == durable]
