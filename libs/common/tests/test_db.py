# ruff: noqa: PT012, SIM117 - what must raise is the transaction around the statements
"""The pool fails fast, says what failed, and is well again as soon as Postgres is."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.support import TestDatabase
from yarl import URL

from common import baseline, inbox
from common.db import (
    Busy,
    CommitUnknown,
    Connection,
    ConnectionLost,
    Database,
    Transaction,
    Unavailable,
)
from common.ids import new_id
from common.testing import Proxy, eventually
from temani.servers import Postgres


@pytest.fixture
async def table(db: Database, plumbed: TestDatabase) -> Database:
    """A pool whose schema has a table of numbered counters."""
    async with plumbed.connect("auth_migrate") as connection:
        await connection.execute(
            "SET ROLE auth_owner; DROP TABLE IF EXISTS auth.counters;"
            " CREATE TABLE auth.counters (id int PRIMARY KEY, n int NOT NULL);"
            " INSERT INTO auth.counters SELECT i, 0 FROM generate_series(1, 5) i"
        )
    return db


@pytest.fixture
async def wire(plumbed: TestDatabase) -> AsyncIterator[tuple[Proxy, Database]]:
    """A pool behind a wire that can be cut."""
    url = URL(plumbed.url("auth"))
    assert url.port is not None
    async with Proxy(url.port) as proxy:
        database = await Database.connect(
            str(url.with_port(proxy.port)), name="wire", min_size=1, max_size=2
        )
        yield proxy, database
        proxy.heal()
        await database.close()


async def ping(db: Database) -> bool:
    """Whether the pool answers."""
    try:
        async with db.connection() as connection:
            return await connection.fetchval("SELECT 1") == 1
    except Unavailable:
        return False


def closed(connection: Connection) -> bool:
    """Whether the driver's connection underneath is gone."""
    try:
        return connection._raw.is_closed()
    except asyncpg.InterfaceError:
        return True


async def test_callbacks_run_only_after_a_commit(table: Database) -> None:
    """after_commit is called once the change is visible to others, and never after a failure."""
    called: list[str] = []

    async with table.transaction() as tx:
        await tx.execute("UPDATE counters SET n = 7 WHERE id = 1")
        tx.after_commit(lambda: called.append("committed"))
        tx.after_commit(lambda: 1 // 0)  # a callback's fault must not undo the answer
        tx.after_commit(lambda: called.append("all"))
        assert called == []
    with pytest.raises(asyncpg.UniqueViolationError):
        async with table.transaction() as tx:
            tx.after_commit(lambda: called.append("never"))
            await tx.execute("INSERT INTO counters (id, n) VALUES (1, 0)")
    with pytest.raises(asyncpg.CheckViolationError):
        async with table.transaction() as tx:
            tx.after_commit(lambda: called.append("never"))
            await tx.execute("INSERT INTO outbox (subject, body) VALUES ('odd', '{}')")

    assert called == ["committed", "all"]


async def test_an_error_inside_rolls_back(table: Database) -> None:
    """Whatever ends the block with an error leaves nothing behind."""
    with pytest.raises(ZeroDivisionError):
        async with table.transaction() as tx:
            await tx.execute("UPDATE counters SET n = 9 WHERE id = 2")
            raise ZeroDivisionError

    async with table.connection() as connection:
        assert await connection.fetchval("SELECT n FROM counters WHERE id = 2") == 0


async def test_exhausted_pool_refuses_in_half_a_second(
    table: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every connection taken the next caller is told to come back, soon."""
    async with table.transaction(), table.transaction(), table.transaction():
        async with table.transaction(), table.transaction():
            monkeypatch.setattr(baseline, "PG_ACQUIRE_TIMEOUT", 0.5)
            started = time.monotonic()
            with pytest.raises(Unavailable) as refused:
                async with asyncio.timeout(30), table.connection():
                    pytest.fail("there was none")
            assert time.monotonic() - started > 0.4
            assert refused.value.retry_after > 0


async def test_deadlocks_are_run_again(table: Database) -> None:
    """Two transactions that lock two rows crosswise both succeed through run()."""
    barrier = asyncio.Barrier(2)

    async def crosswise(first: int, second: int) -> None:
        met = False

        async def work(tx: Transaction) -> None:
            nonlocal met
            await tx.execute("UPDATE counters SET n = n + 1 WHERE id = $1", first)
            if not met:
                met = True
                await barrier.wait()
            await tx.execute("UPDATE counters SET n = n + 1 WHERE id = $1", second)

        await table.run(work)

    await asyncio.gather(crosswise(3, 4), crosswise(4, 3))

    async with table.connection() as connection:
        rows = await connection.fetch("SELECT n FROM counters WHERE id IN (3, 4)")
    assert [row["n"] for row in rows] == [2, 2]


async def test_retries_end(table: Database) -> None:
    """A lock that never comes is tried four times in all, then reported as busy."""
    tries = 0

    async def work(_tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        raise Busy

    with pytest.raises(Unavailable):
        await table.run(work)
    assert tries == 4


async def test_the_roles_limits_arrive_as_unavailable(table: Database) -> None:
    """A transaction that idles is ended by the server; the caller sees Unavailable."""
    with pytest.raises(ConnectionLost):
        async with table.transaction() as tx:
            await tx.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
            await tx.execute("SELECT pg_sleep(0)")
            await eventually(lambda: closed(tx))
            await tx.fetchval("SELECT 1")
    await eventually(lambda: ping(table))


async def test_mistakes_of_the_caller_pass_through(table: Database) -> None:
    """A wrong statement is our fault and stays an asyncpg error; the connection goes on."""
    async with table.connection() as connection:
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT 1 FROM nowhere")
        with pytest.raises(asyncpg.InterfaceError):
            await connection.fetch("SELECT $1::int")
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_cancelled_statement_costs_only_its_connection(table: Database) -> None:
    """Cancelling a query ends it long before it would end itself, and leaves a pool that works."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async with table.transaction() as tx:
                await tx.execute("SET LOCAL statement_timeout = 0")
                started = asyncio.get_running_loop().time()
                limit.reschedule(started + 0.2)
                await tx.fetchval("SELECT pg_sleep(60)")
    assert asyncio.get_running_loop().time() - started < 15
    await eventually(lambda: ping(table))


@pytest.mark.fault
async def test_no_query_hangs_on_a_half_open_socket(wire: tuple[Proxy, Database]) -> None:
    """With the network swallowing everything each call ends by itself, and all is well after it."""
    proxy, database = wire
    await eventually(lambda: ping(database))
    proxy.blackhole()

    async def work(tx: Transaction) -> None:
        await tx.fetchval("SELECT 1")

    async def attempt() -> None:
        with pytest.raises(Unavailable):
            await database.run(work)

    async with asyncio.timeout(30):
        await asyncio.gather(*(attempt() for _ in range(5)))
    proxy.heal()

    await eventually(lambda: ping(database))


@pytest.mark.fault
async def test_a_lost_commit_reply_is_unknown(
    wire: tuple[Proxy, Database], table: Database
) -> None:
    """When the answer to COMMIT is lost the outcome is said to be unknown; here it was written."""
    proxy, database = wire
    called: list[int] = []
    with pytest.raises(CommitUnknown):
        async with database.transaction() as tx:
            await tx.execute("UPDATE counters SET n = 42 WHERE id = 5")
            tx.after_commit(lambda: called.append(1))
            proxy.gate_replies()
    proxy.heal()

    assert called == []

    async def written() -> bool:
        async with table.connection() as connection:
            return await connection.fetchval("SELECT n FROM counters WHERE id = 5") == 42

    await eventually(written)


@pytest.mark.fault
async def test_the_pool_recovers_when_postgres_restarts(scratch: Path) -> None:
    """After a crash and a start of Postgres the same pool answers again."""
    server = Postgres(scratch / "own-postgres", settings={"fsync": "off"})
    await server.start()
    database = await Database.connect(server.url, name="test", max_size=4)
    try:
        await eventually(lambda: ping(database))
        await server.kill()
        async with asyncio.timeout(30):
            assert not await ping(database)
        await server.start()

        async def all_answer() -> bool:
            return all(await asyncio.gather(*(ping(database) for _ in range(4))))

        await eventually(all_answer)
    finally:
        await database.close()
        await server.stop()


@pytest.mark.fault
async def test_connect_waits_for_postgres(scratch: Path) -> None:
    """A process that starts before Postgres waits for it instead of failing."""
    server = Postgres(scratch / "late-postgres", settings={"fsync": "off"})
    connecting = asyncio.ensure_future(Database.connect(server.url, name="early"))
    try:
        await asyncio.wait((connecting,), timeout=0.3)
        assert not connecting.done()
        await server.start()
        async with asyncio.timeout(40):
            database = await connecting
        await eventually(lambda: ping(database))
        await database.close()
    finally:
        connecting.cancel()
        await server.stop()


async def test_closing_does_not_wait_for_ever(
    plumbed: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that somebody keeps is torn when the pool closes."""
    monkeypatch.setattr(baseline, "PG_CLOSE_TIMEOUT", 0.2)
    database = await Database.connect(plumbed.url("auth"), name="test", min_size=1)
    kept = Connection(await database._acquire())
    await database.close()
    assert closed(kept)


async def test_the_inbox_knows_an_event_again(db: Database) -> None:
    """An event is new once for each consumer, and new again when its transaction failed."""
    event_id = new_id()

    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            assert await inbox.first_time(tx, consumer="a", event_id=event_id)
            raise ZeroDivisionError
    async with db.transaction() as tx:
        assert await inbox.first_time(tx, consumer="a", event_id=event_id)
        assert not await inbox.first_time(tx, consumer="a", event_id=event_id)
        assert await inbox.first_time(tx, consumer="b", event_id=event_id)


@pytest.mark.req("OP-04")
async def test_what_a_neighbour_does_not_publish_yet_is_unavailable(db: Database) -> None:
    """Services migrate in any order: until the other has, its function is away like a server."""
    for statement in ("SELECT * FROM auth.nothing_v9(1)", "SELECT nowhere.nothing_v1()"):
        with pytest.raises(Unavailable):
            async with db.connection() as connection:
                await connection.fetch(statement)


async def test_a_function_of_our_own_that_is_missing_is_our_fault(db: Database) -> None:
    """A slip in our own statement stays an error of ours, told in full."""
    with pytest.raises(asyncpg.UndefinedFunctionError):
        async with db.connection() as connection:
            await connection.fetch("SELECT nothing()")
