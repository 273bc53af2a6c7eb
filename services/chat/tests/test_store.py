"""What the database alone refuses, and that every query fits the schema."""

import math
from dataclasses import replace
from itertools import product
from typing import get_args

import asyncpg
import pytest
from prometheus_client import REGISTRY
from services.chat.tests.world import World

from chat import errors
from chat.domain.moves import (
    EXTENSION_MOVES,
    PAYMENT_MOVES,
    SESSION_MOVES,
    ExtensionState,
    PaymentState,
    SessionState,
)
from chat.store.queries import QUERIES
from chat.store.work import PgWork
from common.db import Database
from common.ids import new_id

_ILLEGAL = "illegal_moves_total"
_FIELDS = {
    "pending_payment": "pay_by = now() + interval '1 hour'",
    "active": "activated_at = now(), ends_at = now() + interval '1 hour'",
    "expired": "ends_at = now(), expired_until = now() + interval '1 hour'",
    "closing": "closing_until = now() + interval '1 hour', ended_reason = 'x'",
    "completed": "completed_at = now(), ended_reason = 'x'",
    "cancelled": "completed_at = now(), ended_reason = 'x'",
    "rerouted": "completed_at = now(), ended_reason = 'x'",
}


async def test_every_query_fits_the_schema(world: World) -> None:
    """Each named query can be prepared as chat's own role."""
    async with world.database.connect("chat") as connection:
        for name, statement in QUERIES.items():
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {error}")


def _set(state: str) -> str:
    slot = "1" if state in ("pending_payment", "active") else "NULL"
    return f"state = '{state}', slot = {slot}, {_FIELDS[state]}"


@pytest.mark.req("CH-01")
async def test_the_database_knows_the_same_moves(world: World) -> None:
    """Every pair of session states: exactly the moves of the table are accepted by the database."""
    story = await world.pending()
    session_id = story.session.id
    admin = world.admin
    for before, after in product(get_args(SessionState), repeat=2):
        if before == after:
            continue
        # Whatever the triggers think of the way there, the row is put into `before`.
        await admin.execute("ALTER TABLE chat.sessions DISABLE TRIGGER sessions_guard")
        await admin.execute(f"UPDATE chat.sessions SET {_set(before)} WHERE id = $1", session_id)
        await admin.execute("ALTER TABLE chat.sessions ENABLE TRIGGER sessions_guard")
        try:
            await admin.execute(f"UPDATE chat.sessions SET {_set(after)} WHERE id = $1", session_id)
            refusal = None
        except asyncpg.CheckViolationError as error:
            refusal = error.constraint_name
        expected = None if after in SESSION_MOVES[before] else "sessions_legal_moves"
        assert refusal == expected, (before, after)


@pytest.mark.req("CH-03", "CH-06")
async def test_money_moves(world: World) -> None:
    """Every pair of extension and payment states: exactly the tables' moves are accepted."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "test-1")
    (payment,) = await world.store.session_payments(session.id)
    open_states = ("requested", "accepted", "paid")
    for before, after in product(get_args(ExtensionState), repeat=2):
        fields = {
            state: f"state = '{state}', pay_by = now(), resolved_at = "
            + ("NULL" if state in open_states else "now()")
            for state in (before, after)
        }
        refusal = await _try(
            world, "extensions", str(asked.extension_id), first=fields[before], then=fields[after]
        )
        is_legal = before == after or after in EXTENSION_MOVES[before]
        assert refusal == (None if is_legal else "extensions_legal_moves"), (before, after)
    for before, after in product(get_args(PaymentState), repeat=2):
        fields = {
            state: f"state = '{state}', paid_at = now(), refund_idr = "
            + ("1, refund_reason = 'x'" if state.startswith("refund") else "NULL")
            + (", refunded_at = now()" if state == "refunded" else ", refunded_at = NULL")
            + ("" if state.startswith("refund") else ", refund_reason = NULL")
            for state in (before, after)
        }
        await world.admin.execute("DELETE FROM chat.ledger")
        refusal = await _try(
            world, "payments", str(payment.id), first=fields[before], then=fields[after]
        )
        is_legal = before == after or after in PAYMENT_MOVES[before]
        assert refusal == (None if is_legal else "payments_legal_moves"), (before, after)


async def _try(world: World, table: str, row: str, *, first: str, then: str) -> str | None:
    """Put a row into a state past its triggers, then try a move; return what refused it."""
    admin = world.admin
    await admin.execute(f"ALTER TABLE chat.{table} DISABLE TRIGGER USER")
    await admin.execute(f"UPDATE chat.{table} SET {first} WHERE id = '{row}'")
    await admin.execute(f"ALTER TABLE chat.{table} ENABLE TRIGGER USER")
    try:
        await admin.execute(f"UPDATE chat.{table} SET {then} WHERE id = '{row}'")
    except asyncpg.CheckViolationError as error:
        return error.constraint_name
    return None


@pytest.mark.req("CH-01", "CH-09", "PA-03")
async def test_what_the_database_refuses(world: World) -> None:
    """Holders without a slot, lowered latches, moved columns, lost rows: none can be written."""
    story = await world.active(replied=True)
    session_id = story.session.id
    await world.say(story, story.session.customer_id, "halo")
    refusals = {
        "sessions_slot_while_held": "slot = NULL",
        "sessions_deadline_of_state": "ends_at = NULL",
        "sessions_frozen_columns": "customer_id = uuidv7()",
        "sessions_slot_within_capacity": "slot = 99",
        "sessions_horizons": "customer_read_seq = 99",
    }
    for constraint, change in refusals.items():
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await world.admin.execute(
                f"UPDATE chat.sessions SET {change} WHERE id = $1", session_id
            )
        assert refused.value.constraint_name == constraint
    await world.admin.execute(
        "UPDATE chat.sessions SET sensitivity = 'sensitive' WHERE id = $1", session_id
    )
    for statement in (
        "UPDATE chat.sessions SET sensitivity = 'normal' WHERE id = $1",
        "UPDATE chat.sessions SET last_seq = 0 WHERE id = $1",
        "DELETE FROM chat.sessions WHERE id = $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await world.admin.execute(statement, session_id)
    with pytest.raises(asyncpg.CheckViolationError):
        await world.admin.execute("UPDATE chat.tiers SET price_idr = 1")


@pytest.mark.req("CH-01")
async def test_terminal_states_absorb(world: World) -> None:
    """Nothing that matters changes in a session that is over."""
    story = await world.pending()
    await world.sessions.end(story.session.id, story.session.customer_id)
    for change in ("ended_reason = 'other'", "ends_at = now()", "last_seq = 1"):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await world.admin.execute(
                f"UPDATE chat.sessions SET {change} WHERE id = $1", story.session.id
            )
        assert refused.value.constraint_name == "sessions_terminal_absorbs"


@pytest.mark.req("CH-03")
async def test_unused_time_is_divided(world: World) -> None:
    """An operator's end gives back unused time, the newest payment first, each to the rupiah."""
    story = await world.active(replied=True)
    session = story.session
    asked = await world.extensions.ask(session.id, session.customer_id, "chat-30")
    await world.extensions.accept(session.id, asked.extension_id, session.mitra_id)
    await world.pay(story, asked.extension_id)
    await world.admin.execute(
        "UPDATE chat.sessions SET ends_at = clock_timestamp() + interval '40 minutes'"
        " WHERE id = $1",
        session.id,
    )
    await world.control.end(session.id, new_id(), None)
    first, second = await world.store.session_payments(session.id)
    assert (second.state, second.refund_idr) == ("refund_due", 27000)
    ended = (await world.story(session.id)).session
    assert ended.ends_at is not None
    assert ended.closing_until is not None
    unused = ended.ends_at - (ended.closing_until - world.limits.closing_grace)
    # The half hour of the extension is whole, the rest is of the first quarter.
    owed = math.ceil(15_000 * (unused.total_seconds() - 1800) / 900)
    assert 9_000 < owed <= 10_000
    assert (first.state, first.refund_idr) == ("refund_due", owed)


@pytest.mark.req("CH-02")
async def test_only_what_is_published_is_reachable(world: World) -> None:
    """Neighbours reach chat's functions and nothing else of it."""
    async with world.database.connect("pairing") as connection:
        assert await connection.fetchval("SELECT count(*) FROM chat.tier_v1('test-1')") == 1
        for statement in (
            "SELECT count(*) FROM chat.sessions",
            "SELECT chat.hold_session(uuidv7())",
            "SELECT chat.move_overdue_on(uuidv7())",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_one_statement_for_load(world: World) -> None:
    """Unknown mitras have the default capacity and version 0."""
    db = await Database.connect(world.database.url("availability"), name="test", max_size=2)
    unknown, known = new_id(), await world.mitra(capacity=2)
    async with db.connection() as connection:
        rows = await connection.fetch(
            "SELECT mitra_id, load, capacity, version FROM chat.mitra_load_v1($1)",
            [unknown, known, known],
        )
    await db.close()
    assert {tuple(row) for row in rows} == {(unknown, 0, 3, 0), (known, 0, 2, 0)}


@pytest.mark.req("CH-01")
async def test_an_illegal_move_that_slips_through_is_counted(world: World) -> None:
    """What only the database refuses is a typed error, and a counted fault of ours."""
    story = await world.closing()
    counted = REGISTRY.get_sample_value(_ILLEGAL, {"thing": "sessions", "by": "database"}) or 0

    async def work(tx: PgWork) -> None:
        after = replace(story.session, state="active", slot=1)
        await tx.save_session(after, say=None)

    with pytest.raises(errors.IllegalMove):
        await world.store.run(work)
    now = REGISTRY.get_sample_value(_ILLEGAL, {"thing": "sessions", "by": "database"})
    assert now == counted + 1
