"""Promises of the oracle: a sound world passes, and each planted fault is found and named."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support import Databases, TestDatabase

from common.ids import new_id
from temani.demo.history import History
from temani.demo.oracle import check
from temani.demo.oracle.report import Report


@dataclass
class Small:
    """A small sound world: one mitra of capacity 1, one paid session with two messages."""

    admin: asyncpg.Connection
    dsn: str
    history: Path
    mitra: UUID = field(default_factory=new_id)
    customer: UUID = field(default_factory=new_id)
    request: UUID = field(default_factory=new_id)
    session: UUID = field(default_factory=new_id)
    payment: UUID = field(default_factory=new_id)

    async def ask(self, **more: Any) -> Report:
        """Ask the oracle, without waiting for anything to settle."""
        return await check(self.dsn, [self.history], settle_seconds=0, **more)

    async def tell(self, service: str, noun: str, **body: Any) -> None:
        """Add a published event."""
        text = json.dumps({key: str(value) for key, value in body.items()})
        await self.admin.execute(
            f"""INSERT INTO {service}.outbox (subject, body, published_at, stream_seq)
                VALUES ($1, $2::jsonb, clock_timestamp(), 1)""",
            f"evt.{service}.{noun}.v1",
            text,
        )

    async def open_session(self, session: UUID, *, request: UUID, mitra: UUID, slot: int) -> None:
        """Insert an active session with its events."""
        await self.admin.execute(
            """INSERT INTO chat.sessions (id, request_id, customer_id, mitra_id, state, slot,
                   tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
                   activated_at, ends_at, version)
               VALUES ($1, $2, $3, $4, 'active', $5, 'chat-15', 1, 900, 15000, 't', 'normal',
                   clock_timestamp(), clock_timestamp() + interval '1 hour', 2)""",
            session,
            request,
            self.customer,
            mitra,
            slot,
        )
        for version, noun in enumerate(("session_created", "session_activated"), start=1):
            await self.tell("chat", noun, session_id=session, version=version)

    async def open_request(self, request: UUID, session: UUID, mitra: UUID) -> None:
        """Insert a matched request with its events."""
        await self.admin.execute(
            """INSERT INTO pairing.requests (id, customer_id, state, tier_id, tier_version,
                   duration_seconds, price_idr, topic, sensitivity, wait, wait_until, mitra_id,
                   session_id, settled_at)
               VALUES ($1, $2, 'matched', 'chat-15', 1, 900, 15000, 't', 'normal',
                   interval '2 minutes', clock_timestamp() + interval '2 minutes', $3, $4,
                   clock_timestamp())""",
            request,
            self.customer,
            mitra,
            session,
        )
        for noun in ("request_opened", "request_matched"):
            await self.tell("pairing", noun, request_id=request)

    async def pay(self, payment: UUID, *, request: UUID, session: UUID) -> None:
        """Insert a paid payment with its capture."""
        await self.admin.execute(
            """INSERT INTO chat.payments (id, request_id, session_id, customer_id, provider,
                   order_id, amount_idr, state, expires_at)
               VALUES ($1, $2, $3, $4, 'midtrans', $5, 15000, 'pending', clock_timestamp())""",
            payment,
            request,
            session,
            self.customer,
            f"order-{payment}",
        )
        await self.admin.execute(
            "UPDATE chat.payments SET state = 'paid', paid_at = clock_timestamp() WHERE id = $1",
            payment,
        )

    async def say(self, history: History, seq: int) -> None:
        """Insert a message of the customer that was acknowledged and seen by the mitra."""
        message, client = new_id(), uuid4()
        await self.admin.execute(
            """INSERT INTO chat.messages (session_id, seq, id, client_message_id, sender_id,
                   sender_role, kind, body, sent_at)
               VALUES ($1, $2, $3, $4, $5, 'customer', 'text', 'hello', clock_timestamp())""",
            self.session,
            seq,
            message,
            client,
            self.customer,
        )
        place = {"session": str(self.session), "client_message": str(client)}
        history.begin(str(self.customer), "message", **place).ok(message=str(message), seq=seq)
        history.saw(
            str(self.mitra), "message", session=str(self.session), seq=seq, message=str(message)
        )

    async def build(self) -> None:
        """Make everything."""
        await self.admin.execute(
            "INSERT INTO chat.mitra_load (mitra_id, capacity, capacity_from) "
            "VALUES ($1, 1, 'operator')",
            self.mitra,
        )
        await self.open_session(self.session, request=self.request, mitra=self.mitra, slot=1)
        await self.open_request(self.request, self.session, self.mitra)
        await self.pay(self.payment, request=self.request, session=self.session)
        with History(self.history) as history:
            accept = history.begin(str(self.mitra), "accept", request=str(self.request))
            accept.ok(request=str(self.request), session=str(self.session))
            await self.say(history, 1)
            await self.say(history, 2)
            history.begin(str(self.customer), "message").info("unreachable")
        await self.admin.execute(
            "UPDATE chat.sessions SET last_seq = 2 WHERE id = $1", self.session
        )


@pytest.fixture
async def clone(databases: Databases) -> AsyncIterator[TestDatabase]:
    """Lend a database with every service's schema."""
    lent = await databases.fresh()
    yield lent
    await databases.drop(lent)


@pytest.fixture
async def small(clone: TestDatabase, tmp_path: Path) -> AsyncIterator[Small]:
    """Lend a small sound world."""
    async with clone.admin() as admin:
        world = Small(admin, clone.admin_url, tmp_path / "history" / "bots.jsonl")
        await world.build()
        yield world


def only(report: Report, invariant: str, *words: str) -> bool:
    """Say whether exactly this invariant is broken, in words that name the culprit."""
    broken = {name for name, found in report.violations.items() if found}
    text = "\n".join(report.texts)
    return broken == {invariant} and all(word in text for word in words)


@pytest.mark.req("OP-03")
async def test_a_sound_world_passes(small: Small) -> None:
    """A world without a fault has no violation, and everything in it was looked at."""
    report = await small.ask()

    assert report.texts == []
    assert report.checked == {
        "operations": 4,
        "sightings": 2,
        "sessions": 1,
        "requests": 1,
        "messages": 2,
        "payments": 1,
    }


async def plant_over_capacity(small: Small) -> None:
    """Give a mitra of capacity 1 a second session, past every guard."""
    await small.admin.execute("ALTER TABLE chat.sessions DISABLE TRIGGER USER")
    session, request = new_id(), new_id()
    await small.open_session(session, request=request, mitra=small.mitra, slot=2)
    await small.open_request(request, session, small.mitra)
    await small.pay(new_id(), request=request, session=session)


async def plant_second_winner(small: Small) -> None:
    """Give a request a second living session with another mitra, past every guard."""
    await small.admin.execute("DROP INDEX chat.sessions_one_per_request")
    other = new_id()
    await small.admin.execute(
        "INSERT INTO chat.mitra_load (mitra_id, capacity, capacity_from) VALUES ($1, 1, 'auth')",
        other,
    )
    await small.open_session(new_id(), request=small.request, mitra=other, slot=1)


async def plant_nothing(_small: Small) -> None:
    """Leave the sound world as it is."""


async def test_over_capacity_is_found(small: Small) -> None:
    """A session beyond a mitra's capacity is found, though the database let it in."""
    await plant_over_capacity(small)

    assert only(await small.ask(), "I2", str(small.mitra), "capacity 1")


async def test_a_second_winner_is_found(small: Small) -> None:
    """Two living sessions of one request are found."""
    await plant_second_winner(small)

    assert only(await small.ask(), "I1", str(small.request), "2 sessions")


async def test_a_broken_promise_is_found(small: Small) -> None:
    """A mitra who was told that she won must have the session."""
    lost = str(new_id())
    with History(small.history.with_name("more.jsonl")) as history:
        history.begin(str(small.mitra), "accept").ok(request=str(small.request), session=lost)
    small.history = small.history.parent

    assert only(await small.ask(), "I1", lost)


async def test_a_removed_message_is_found(small: Small) -> None:
    """An acknowledged message that is gone is found by its gap and by its sender."""
    await small.admin.execute("DELETE FROM chat.messages WHERE seq = 2")
    report = await small.ask()

    assert only(report, "I6", "was acknowledged and is not there", "last_seq 2, 1 messages")


async def test_a_refused_message_that_is_stored_is_found(small: Small) -> None:
    """A message that its sender was told to be refused must not be there."""
    stored = await small.admin.fetchval("SELECT client_message_id FROM chat.messages LIMIT 1")
    with History(small.history.with_name("more.jsonl")) as history:
        history.begin(
            "someone", "message", session=str(small.session), client_message=str(stored)
        ).fail("session_over")
    small.history = small.history.parent

    assert only(await small.ask(), "I6", "session_over")


async def test_a_disordered_view_is_found(small: Small) -> None:
    """A person who saw a later message without an earlier one is found."""
    row = await small.admin.fetchrow("SELECT id, seq FROM chat.messages WHERE seq = 2")
    assert row is not None
    with History(small.history.with_name("more.jsonl")) as history:
        history.saw("someone", "message", session=str(small.session), seq=2, message=str(row["id"]))
    small.history = small.history.parent

    assert only(await small.ask(), "I6", "saw seq 2", "after 0")


async def test_a_silent_transition_is_found(small: Small) -> None:
    """A transition without its event is found."""
    await small.admin.execute(
        """UPDATE chat.sessions SET state = 'closing', slot = NULL, ended_reason = 'customer',
               closing_until = clock_timestamp() + interval '1 hour' WHERE id = $1""",
        small.session,
    )

    assert only(await small.ask(), "I4", str(small.session), "the last event said active")


async def test_an_unpublished_event_is_found(small: Small) -> None:
    """An event that never reached its stream is found."""
    await small.admin.execute(
        "UPDATE pairing.outbox SET published_at = NULL, stream_seq = NULL "
        "WHERE subject LIKE '%matched%'"
    )

    assert only(await small.ask(), "I4", "request_matched", "is not published")


async def test_an_event_told_twice_is_found(small: Small) -> None:
    """The same step of the same session, told twice, is found."""
    await small.tell("chat", "session_activated", session_id=small.session, version=2)
    report = await small.ask()

    assert any("told 2 times" in text for text in report.violations["I4"])


async def test_a_missed_deadline_is_found(small: Small) -> None:
    """A row that stays past its deadline is found after the grace."""
    await small.admin.execute(
        "UPDATE chat.sessions SET ends_at = clock_timestamp() - interval '1 minute'"
    )

    assert only(await small.ask(grace_seconds=5), "I5", "session_end", str(small.session))
    assert (await small.ask(grace_seconds=120)).ok


async def test_an_early_end_is_found(small: Small) -> None:
    """A session that expired before its end is found."""
    await small.admin.execute(
        """UPDATE chat.sessions SET state = 'expired', slot = NULL,
               expired_until = clock_timestamp() + interval '2 hours' WHERE id = $1""",
        small.session,
    )
    await small.tell(
        "chat", "session_expired", session_id=small.session, version=3, reason="time_over"
    )

    assert only(await small.ask(), "I5", "before its end")


async def test_a_double_credit_is_found(small: Small) -> None:
    """A second capture of one payment is found."""
    await small.admin.execute("ALTER TABLE chat.ledger DROP CONSTRAINT ledger_once")
    await small.admin.execute(
        "INSERT INTO chat.ledger (payment_id, kind, amount_idr) VALUES ($1, 'capture', 15000)",
        small.payment,
    )

    assert only(await small.ask(), "I7", "2 captures")


async def test_money_at_the_provider_is_compared(small: Small) -> None:
    """What the provider captured and what is paid here must be the same."""
    order = {
        "order_id": f"order-{small.payment}",
        "transaction_status": "settlement",
        "gross_amount": 15000,
        "refunded": 0,
    }

    assert (await small.ask(orders=[order])).ok
    assert only(await small.ask(orders=[{**order, "transaction_status": "pending"}]), "I7", "paid")
    assert only(await small.ask(orders=[]), "I7", "captured 0 rupiah, 15000 are paid")


async def test_an_illegal_move_is_found(small: Small) -> None:
    """A step that the table of moves does not have is found, though the end state fits."""
    for version, noun in enumerate(("session_resumed", "session_extended"), start=3):
        await small.tell("chat", noun, session_id=small.session, version=version)

    assert only(await small.ask(), "I8", "session_resumed while active")


async def test_a_resurrection_is_found(small: Small) -> None:
    """A client that saw a session end and live again is found."""
    with History(small.history.with_name("more.jsonl")) as history:
        for version, state in enumerate(("completed", "active")):
            history.saw("someone", "session", session="s", state=state, version=version)
    small.history = small.history.parent

    assert only(await small.ask(), "I8", "become active after completed")


async def test_an_offer_to_a_deactivated_mitra_is_found(small: Small) -> None:
    """From two seconds after her deactivation a mitra must get no offer."""
    await small.tell("auth", "mitra_deactivated", mitra_id=small.mitra)
    await small.admin.execute(
        "UPDATE auth.outbox SET created_at = clock_timestamp() - interval '10 seconds'"
    )
    await small.admin.execute(
        """INSERT INTO pairing.offers (request_id, attempt, ring, mitra_id, state, settled_at,
               expires_at, created_at)
           VALUES ($1, 1, 1, $2, 'declined', clock_timestamp(), clock_timestamp(),
               clock_timestamp() - interval '5 seconds')""",
        small.request,
        small.mitra,
    )

    assert only(await small.ask(), "I9", str(small.mitra), "got offer")


async def test_an_answer_to_a_deactivated_mitra_is_found(small: Small) -> None:
    """A heartbeat accepted long after the operator was told of the deactivation is found."""
    lines = [
        {"id": "1", "type": "invoke", "who": "op", "op": "deactivate", "mitra": "m", "at": 100.0},
        {"id": "1", "type": "ok", "who": "op", "op": "deactivate", "at": 100.1},
        {"id": "2", "type": "invoke", "who": "m", "op": "heartbeat", "at": 103.0},
        {"id": "2", "type": "ok", "who": "m", "op": "heartbeat", "at": 103.1},
    ]
    small.history.write_text("\n".join(json.dumps(line) for line in lines) + "\n")

    assert only(await small.ask(), "I9", "heartbeat was accepted 2.9 s after")


async def test_a_living_mitra_taken_offline_is_found(small: Small) -> None:
    """A mitra who was taken offline for a silence just after an accepted beat is found."""
    await small.admin.execute(
        "INSERT INTO auth.mitras (mitra_id, phone, display_name, created_at,"
        " created_by) VALUES ($1, '+6281234567890', 'Sari', now(), $1)",
        small.mitra,
    )
    await small.admin.execute(
        "INSERT INTO availability.mitra_status (mitra_id) VALUES ($1)", small.mitra
    )
    await small.admin.execute(
        """INSERT INTO availability.online_intervals (mitra_id, started_at, ended_at, end_reason)
           VALUES ($1, now() - interval '1 minute', now(), 'auto_offline')""",
        small.mitra,
    )
    silent = await small.ask()
    ended = await small.admin.fetchval("SELECT ended_at FROM availability.online_intervals")
    beat = ended.timestamp() - 2
    line = {"id": "b", "who": str(small.mitra), "op": "heartbeat", "at": beat}
    text = "\n".join(json.dumps({**line, "type": kind}) for kind in ("invoke", "ok"))
    small.history.write_text(text + "\n")

    assert silent.ok
    assert only(await small.ask(), "I10", str(small.mitra), "after a beat was accepted")


@pytest.mark.req("OP-03")
@pytest.mark.parametrize(("plant", "code"), [(plant_nothing, 0), (plant_over_capacity, 1)])
async def test_the_command_ends_with_one_on_a_violation(
    small: Small, plant: Callable[[Small], Awaitable[None]], code: int
) -> None:
    """`python -m temani.demo.oracle` exits 0 on a sound world and 1 on a violation."""
    await plant(small)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "temani.demo.oracle", "--json", "--settle", "0"),
        *("--database-url", small.dsn, "--history", str(small.history.parent)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert process.returncode == code
    assert json.loads(out)["ok"] is (code == 0)
