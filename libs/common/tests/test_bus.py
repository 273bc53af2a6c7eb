"""Hearing and telling: what is promised when handlers fail."""

from collections.abc import Mapping
from typing import ClassVar
from uuid import uuid4

import pytest
import structlog
from libs.common.tests.bus_stage import (
    Answer,
    Ask,
    Listener,
    fresh_subject,
    publish,
    quick_backoff,
    waiting,
)

from common import baseline
from common.bus import (
    Bus,
    BusUnavailable,
    CommandFailed,
    DeadLetters,
    Delivery,
    Event,
    Malformed,
)
from common.bus.envelope import event_headers
from common.bus.streams import ensure_stream
from common.db import Database, Unavailable
from common.dlq import replay
from common.ids import new_id
from common.realtime import Fanout
from common.runner import Runner
from common.testing import eventually

__all__ = ["quick_backoff"]  # a fixture


async def test_event_is_handled_once_and_acknowledged(bus: Bus, db: Database) -> None:
    """A handled event is not delivered again, and extra fields do not disturb."""
    bus.bury_in(db)
    listener = Listener(bus)

    event_id = await publish(bus, listener.subject)
    await eventually(lambda: listener.times(event_id))
    last = await publish(bus, listener.subject)
    await eventually(lambda: listener.times(last))

    assert listener.times(event_id) == 1
    assert await waiting(db, listener.durable) == []


async def test_malformed_event_is_buried_at_once(bus: Bus, db: Database) -> None:
    """What cannot be read is kept with the reason after one delivery; the next one flows."""
    bus.bury_in(db)
    listener = Listener(bus)

    poison = await publish(bus, listener.subject, body=b'{"thing_id": 7}')
    healthy = await publish(bus, listener.subject)

    await eventually(lambda: listener.times(healthy))

    async def buried() -> bool:
        return (poison, "malformed") in await waiting(db, listener.durable)

    await eventually(buried)
    assert listener.times(poison) == 1


@pytest.mark.usefixtures("quick_backoff")
async def test_failing_event_is_buried_at_the_fifth_delivery(bus: Bus, db: Database) -> None:
    """A handler that always fails gets five tries; others are not held up."""
    bus.bury_in(db)
    listener = Listener(bus)
    poison = new_id()
    listener.failing[poison] = RuntimeError("never works")
    await publish(bus, listener.subject, event_id=poison)
    healthy = [await publish(bus, listener.subject) for _ in range(20)]

    await eventually(lambda: all(listener.times(each) for each in healthy))

    async def buried() -> bool:
        return (poison, "exhausted") in await waiting(db, listener.durable)

    await eventually(buried)
    assert listener.times(poison) == baseline.CONSUMER_BURY_AT
    (letter,) = [each for each in await DeadLetters(db).waiting() if each.event_id == poison]
    assert letter.error == "RuntimeError: never works"
    assert letter.deliveries == baseline.CONSUMER_BURY_AT


@pytest.mark.usefixtures("quick_backoff")
async def test_dead_letter_can_be_replayed(bus: Bus, db: Database) -> None:
    """A replayed event reaches its consumer again under its own id, even inside the window."""
    bus.bury_in(db)
    listener = Listener(bus)
    poison = new_id()
    listener.failing[poison] = Malformed("not now")
    await publish(bus, listener.subject, event_id=poison)

    async def letter_waits() -> bool:
        return bool(await waiting(db, listener.durable))

    await eventually(letter_waits)
    del listener.failing[poison]
    letters = DeadLetters(db)
    for letter in await letters.waiting():
        await replay(letters, bus, letter)

    await eventually(lambda: listener.times(poison) == 2)
    assert await waiting(db, listener.durable) == []


async def test_what_the_server_gave_up_is_buried(bus: Bus, db: Database) -> None:
    """When every delivery ended in a crash the server's advisory leads to a dead letter."""
    bus.bury_in(db)
    listener = Listener(bus)
    event_id = await publish(bus, listener.subject)
    await eventually(lambda: listener.times(event_id))
    advisory = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.AUTH.{listener.durable}"
    seq = await bus.last_seq("AUTH")

    async def buried() -> bool:
        # Again and again: nobody says when the subscription stands.
        bus.tell(advisory, b'{"stream_seq": %d}' % seq)
        return (event_id, "exhausted") in await waiting(db, listener.durable)

    await eventually(buried)


async def test_event_without_id_is_malformed(bus: Bus, db: Database) -> None:
    """An event that nobody could recognise again is buried, not handled."""
    bus.bury_in(db)
    listener = Listener(bus)
    client = bus._link.client
    assert client is not None
    js = client.jetstream()
    await ensure_stream(js, "AUTH")
    await js.publish(listener.subject, b"{}", timeout=20)

    async def buried() -> bool:
        return (None, "malformed") in await waiting(db, listener.durable)

    await eventually(buried)


@pytest.mark.usefixtures("quick_backoff")
async def test_an_outage_of_postgres_buries_nothing(
    bus: Bus, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Postgres is away an event is held, however often its handler fails."""
    bus.bury_in(db)
    listener = Listener(bus)
    letters = bus._letters
    assert letters is not None
    away = True

    async def reachable() -> bool:
        return not away

    monkeypatch.setattr(letters, "reachable", reachable)
    monkeypatch.setattr("common.bus.settle._HOLD", (0.01, 0.02))
    event_id = new_id()
    listener.failing[event_id] = Unavailable()
    await publish(bus, listener.subject, event_id=event_id)

    await eventually(lambda: listener.times(event_id) > baseline.CONSUMER_MAX_DELIVER + 3)
    away = False
    del listener.failing[event_id]
    last = await publish(bus, listener.subject)

    await eventually(lambda: listener.times(last))
    assert await waiting(db, listener.durable) == []


async def test_context_does_not_leak_from_event_to_event(bus: Bus, db: Database) -> None:
    """What one handler binds to its log lines is gone for the next event."""
    bus.bury_in(db)
    found: list[dict[str, object]] = []
    subject = fresh_subject()

    async def bind(delivery: Delivery) -> None:
        found.append(dict(structlog.contextvars.get_contextvars()))
        structlog.contextvars.bind_contextvars(session_id="S-A")

    bus.consume(stream="AUTH", durable=f"test-{uuid4().hex}", subjects=[subject], handler=bind)
    await publish(bus, subject)
    await publish(bus, subject)

    await eventually(lambda: len(found) >= 2)
    assert all("session_id" not in context for context in found)
    assert all({"event_id", "consumer", "trace_id"} <= context.keys() for context in found)


async def test_context_does_not_leak_from_hint_to_hint(bus: Bus) -> None:
    """What a callback of a core subscription binds is gone for the next message."""
    found: list[dict[str, object]] = []
    subject = f"hint.{uuid4().hex}"

    async def bind(_subject: str, _body: bytes) -> None:
        found.append(dict(structlog.contextvars.get_contextvars()))
        structlog.contextvars.bind_contextvars(session_id="S-A")

    bus.listen(subject, bind)

    def twice() -> bool:
        bus.tell(subject)
        return len(found) >= 2

    await eventually(twice)
    assert all("session_id" not in context for context in found)


async def test_publishing_twice_stores_once(bus: Bus) -> None:
    """The stream recognises an id that it has seen: a repeated publish is a duplicate."""
    event_id, subject = new_id(), fresh_subject()
    headers = event_headers(id=event_id, subject=subject, at="", traceparent="")
    first = await bus.publish_event(id=event_id, subject=subject, body=b"{}", headers=headers)
    second = await bus.publish_event(id=event_id, subject=subject, body=b"{}", headers=headers)

    assert not first.duplicate
    assert second.duplicate
    assert first.seq == second.seq


async def test_command_is_answered_by_its_owner(bus: Bus) -> None:
    """A command gets its owner's model back; an error's code travels; nobody home is said."""
    subject = f"cmd.auth.double_{uuid4().hex}.v1"

    class TooMuch(Exception):
        """Too much."""

        code: ClassVar[str] = "too_much"

    async def double(body: bytes, headers: Mapping[str, str]) -> Answer:
        number = Ask.model_validate_json(body).number
        if number > 100:
            raise TooMuch("more than 100")
        return Answer(double=2 * number)

    with pytest.raises(BusUnavailable):
        await bus.request(subject, Ask(number=1), timeout=0.5)
    bus.serve(subject, queue="auth", handler=double)

    async def answered() -> bool:
        try:
            reply = await bus.request(subject, Ask(number=21), timeout=5)
        except BusUnavailable:
            return False
        return Answer.model_validate_json(reply).double == 42

    await eventually(answered)
    with pytest.raises(CommandFailed) as refused:
        await bus.request(subject, Ask(number=101), timeout=20)
    assert refused.value.error_code == "too_much"


async def test_fanout_reaches_other_replicas_and_itself_once(
    bus: Bus, nats_url: str, runner: Runner
) -> None:
    """A frame is delivered here at once and elsewhere through NATS, nowhere twice."""
    other_bus = await Bus.connect(nats_url, name="other", runner=runner)
    assert await other_bus.until_up(20)
    here, there = Fanout(bus=bus, replica="r"), Fanout(bus=other_bus, replica="r")
    got: dict[str, list[tuple[str, bytes]]] = {"here": [], "there": []}
    user, ready = uuid4().hex, uuid4().hex
    here.on_each("rt.chat.*", lambda subject, body: got["here"].append((subject, body)))
    there.on_each("rt.chat.*", lambda subject, body: got["there"].append((subject, body)))

    def linked() -> bool:
        here.tell(f"rt.chat.{ready}", b"ready")
        return bool(got["there"])

    await eventually(linked)
    got["here"].clear()
    here.tell(f"rt.chat.{user}", b"hello")
    assert got["here"] == [(f"rt.chat.{user}", b"hello")]

    await eventually(lambda: (f"rt.chat.{user}", b"hello") in got["there"])

    def answered() -> bool:
        there.tell(f"rt.chat.{user}", b"back")
        return (f"rt.chat.{user}", b"back") in got["here"]

    await eventually(answered)
    assert got["here"].count((f"rt.chat.{user}", b"hello")) == 1


async def test_event_subjects_are_checked_when_declared() -> None:
    """A subject outside the grammar never gets as far as a message."""
    with pytest.raises(TypeError, match="no event subject"):
        type("Odd", (Event,), {"subject": "auth.odd", "__annotations__": {}})
