"""Events leave once they are committed, and leave again until the stream holds them."""

import asyncio
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from tests.support import TestDatabase

from common.bus import Bus, Delivery, Event
from common.clock import SystemClock
from common.db import Database
from common.outbox import Outbox
from common.runner import Runner
from common.testing import eventually


class LoginMade(Event):
    """An event of the test."""

    subject: ClassVar[str] = "evt.auth.login_made.v1"
    login_id: UUID


def made() -> LoginMade:
    """A fresh event."""
    return LoginMade(login_id=uuid4(), at=datetime.now(UTC))


class Heard:
    """Collects what a fresh durable consumer is given."""

    def __init__(self, bus: Bus) -> None:
        self.deliveries: list[Delivery] = []
        bus.consume(
            stream="AUTH",
            durable=f"test-{uuid4().hex}",
            subjects=["evt.auth.login_made.v1"],
            handler=self._take,
        )

    async def _take(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    def has(self, login_id: UUID) -> bool:
        """Whether an event with this id has arrived."""
        return str(login_id) in " ".join(d.body.decode() for d in self.deliveries)


@pytest.fixture
async def outbox(db: Database, bus: Bus, runner: Runner, clock: SystemClock) -> Outbox:
    """The outbox under test."""
    return Outbox(service="auth", db=db, bus=bus, runner=runner, clock=clock)


async def unpublished(db: Database) -> int:
    """How many rows have no acknowledgement."""
    async with db.connection() as connection:
        return int(
            await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        )


async def test_committed_event_is_told_at_once(outbox: Outbox, db: Database, bus: Bus) -> None:
    """An event of a committed transaction is delivered with its envelope and marked."""
    heard = Heard(bus)
    event, before = made(), datetime.now(UTC)

    async with db.transaction() as tx:
        await outbox.append(tx, event)

    await eventually(lambda: heard.has(event.login_id))
    delivery = next(d for d in heard.deliveries if str(event.login_id) in d.body.decode())
    assert delivery.subject == "evt.auth.login_made.v1"
    assert delivery.headers["Temani-Source"] == "auth"
    assert delivery.headers["traceparent"].startswith("00-")
    assert before <= delivery.time <= datetime.now(UTC)

    async def marked() -> bool:
        return await unpublished(db) == 0

    await eventually(marked)


async def test_rolled_back_event_is_never_told(outbox: Outbox, db: Database, bus: Bus) -> None:
    """A transaction that fails leaves neither a row nor a message."""
    heard = Heard(bus)
    lost, kept = made(), made()

    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction raises it on
        async with db.transaction() as tx:
            await outbox.append(tx, lost)
            raise ZeroDivisionError
    async with db.transaction() as tx:
        await outbox.append(tx, kept)

    await eventually(lambda: heard.has(kept.login_id))
    assert not heard.has(lost.login_id)


async def test_rows_of_sql_functions_leave_on_a_hint(
    outbox: Outbox, db: Database, bus: Bus
) -> None:
    """A row that SQL inserted by itself is published by the relay."""
    heard = Heard(bus)
    login_id = uuid4()

    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox (subject, body) VALUES ('evt.auth.login_made.v1',"
            " jsonb_build_object('login_id', $1::uuid, 'at', clock_timestamp()))",
            login_id,
        )
        tx.after_commit(lambda: bus.tell("hint.auth.outbox"))

    await eventually(lambda: heard.has(login_id))
    delivery = next(d for d in heard.deliveries if str(login_id) in d.body.decode())
    assert delivery.parse(LoginMade).login_id == login_id


async def test_unacknowledged_rows_are_told_again(
    outbox: Outbox, db: Database, bus: Bus, plumbed: TestDatabase
) -> None:
    """A crash between commit and publish only delays: the relay takes the row after its claim."""
    heard = Heard(bus)
    event = made()
    other = await Database.connect(plumbed.url("auth"), name="crashing", min_size=1)

    async with other.transaction() as tx:
        await outbox.append(tx, event)
        tx._callbacks.clear()
    await other.close()

    await eventually(lambda: heard.has(event.login_id))


async def test_events_that_a_restored_stream_lost_are_told_again(
    outbox: Outbox, db: Database, bus: Bus
) -> None:
    """When the stream's last sequence is below what it gave us, the rows above leave again."""
    event = made()
    async with db.transaction() as tx:
        await outbox.append(tx, event)

    async def marked() -> bool:
        return await unpublished(db) == 0

    await eventually(marked)
    async with db.transaction() as tx:
        await tx.execute("UPDATE outbox SET stream_seq = stream_seq + 1000000")

    await outbox._watch()

    async def back() -> bool:
        async with db.connection() as connection:
            highest = await connection.fetchval("SELECT max(stream_seq) FROM outbox")
        return highest is not None and highest < 1_000_000

    await eventually(back)


async def test_a_sequence_given_twice_reveals_a_lost_tail(
    outbox: Outbox, db: Database, bus: Bus
) -> None:
    """A stream that was set back and has grown again is found by the sequence it reuses."""
    first, second = made(), made()
    async with db.transaction() as tx:
        await outbox.append(tx, first)

    async def marked() -> bool:
        return await unpublished(db) == 0

    await eventually(marked)
    last = await bus.last_seq("AUTH")
    async with db.transaction() as tx:
        await tx.execute("UPDATE outbox SET stream_seq = $1", last + 1)
        await outbox.append(tx, second)

    async def distinct() -> bool:
        async with db.connection() as connection:
            rows = await connection.fetch("SELECT stream_seq FROM outbox")
        sequences = [row["stream_seq"] for row in rows]
        return None not in sequences and len(set(sequences)) == 2

    await eventually(distinct)


async def test_two_relays_share_the_rows(db: Database, runner: Runner, clock: SystemClock) -> None:
    """Each unpublished row is claimed by exactly one of two relays at a time."""
    # Without NATS their own loops leave the rows to us.
    away = await Bus.connect("nats://127.0.0.1:9", name="away", runner=runner)
    one = Outbox(service="auth", db=db, bus=away, runner=runner, clock=clock)
    two = Outbox(service="auth", db=db, bus=away, runner=runner, clock=clock)
    async with db.transaction() as tx:
        await tx.executemany(
            "INSERT INTO outbox (subject, body) VALUES ('evt.auth.login_made.v1', $1::jsonb)",
            [(f'{{"number": {number}}}',) for number in range(50)],
        )

    claims = await asyncio.gather(*(box._claim() for box in (one, two, one, two)))

    ids = [row.id for claim in claims for row in claim]
    assert len(ids) == 50
    assert len(set(ids)) == 50


async def test_published_rows_are_pruned_after_their_time(
    db: Database, runner: Runner, clock: SystemClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published rows go after 72 h; unpublished ones stay however old they are."""
    # Nobody prunes but we, and without NATS nobody asks whether the stream still holds them.
    monkeypatch.setattr("common.outbox._PRUNE_SECONDS", 1e9)
    away = await Bus.connect("nats://127.0.0.1:9", name="away", runner=runner)
    outbox = Outbox(service="auth", db=db, bus=away, runner=runner, clock=clock)
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox (subject, body, published_at, stream_seq, created_at) VALUES"
            " ('evt.auth.a.v1', '{}', clock_timestamp() - interval '73 hours', 1, now()),"
            " ('evt.auth.b.v1', '{}', clock_timestamp() - interval '71 hours', 2, now()),"
            " ('evt.auth.c.v1', '{}', NULL, NULL, now() - interval '99 hours')"
        )

    assert await outbox.prune() == 1

    async with db.connection() as connection:
        rows = await connection.fetch("SELECT subject FROM outbox ORDER BY subject")
    assert [row["subject"] for row in rows] == ["evt.auth.b.v1", "evt.auth.c.v1"]
