"""roles.sql: who may do what in the database, before any migration."""

import asyncio

import asyncpg
import pytest

from temani import postgres_setup
from temani.servers import Postgres

_PASSWORDS = {role: f"secret of {role}" for role in postgres_setup.login_roles()}


async def _connect(postgres: Postgres, role: str, database: str) -> asyncpg.Connection:
    url = postgres_setup.role_url(
        postgres.url, role=role, password=_PASSWORDS[role], database=database
    )
    return await asyncpg.connect(url)


@pytest.fixture(scope="module")
async def server(scratch_postgres: Postgres) -> Postgres:
    """A server of its own: these tests set the passwords of its roles."""
    await postgres_setup.prepare(scratch_postgres.url, passwords=_PASSWORDS, database="roles")
    return scratch_postgres


async def test_preparing_again_and_at_once_changes_nothing(server: Postgres) -> None:
    """The preparation may be repeated, also for two databases at the same time."""
    await asyncio.gather(
        postgres_setup.prepare(server.url, passwords=_PASSWORDS, database="roles"),
        postgres_setup.prepare(server.url, passwords=_PASSWORDS, database="roles"),
        postgres_setup.prepare(server.url, passwords=_PASSWORDS, database="other"),
    )
    await postgres_setup.drop(server.url, database="other")


async def test_a_service_reads_its_own_rows_and_no_others(server: Postgres) -> None:
    """Tables made by a migration belong to their service alone."""
    migrator = await _connect(server, "pairing_migrate", "roles")
    await migrator.execute("SET ROLE pairing_owner; CREATE TABLE wishes (n int)")
    await migrator.close()
    pairing = await _connect(server, "pairing", "roles")
    await pairing.execute("INSERT INTO wishes (n) VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pairing.execute("CREATE TABLE pairing.own (n int)")
    await pairing.close()
    chat = await _connect(server, "chat", "roles")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.fetch("SELECT n FROM pairing.wishes")
    await chat.close()


async def test_a_function_is_private_until_granted(server: Postgres) -> None:
    """A neighbour may call exactly the functions that were granted to it."""
    migrator = await _connect(server, "auth_migrate", "roles")
    await migrator.execute(
        "SET ROLE auth_owner;"
        "CREATE FUNCTION secret_v1() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION told_v1() RETURNS int LANGUAGE sql AS 'SELECT 2';"
        "GRANT EXECUTE ON FUNCTION told_v1() TO chat"
    )
    await migrator.close()
    chat = await _connect(server, "chat", "roles")
    assert await chat.fetchval("SELECT auth.told_v1()") == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.fetchval("SELECT auth.secret_v1()")
    await chat.close()


@pytest.mark.parametrize(
    ("setting", "serving", "migrating"),
    [
        ("statement_timeout", "5s", "0"),
        ("transaction_timeout", "10s", "0"),
        ("idle_in_transaction_session_timeout", "5s", "0"),
        ("lock_timeout", "2s", "2s"),
        ("TimeZone", "UTC", "UTC"),
        ("search_path", "chat", "chat"),
        ("synchronous_commit", "on", "on"),
    ],
)
async def test_roles_carry_their_limits(
    server: Postgres, setting: str, serving: str, migrating: str
) -> None:
    """Whoever serves lets go of locks in time; whoever migrates may take long, but not in line."""
    for role, expected in (("chat", serving), ("chat_migrate", migrating)):
        connection = await _connect(server, role, "roles")
        assert await connection.fetchval(f"SHOW {setting}") == expected
        await connection.close()


async def test_strangers_have_no_way_in(server: Postgres) -> None:
    """PUBLIC may neither connect nor create anything."""
    connection = await asyncpg.connect(postgres_setup.database_url(server.url, "roles"))
    rows = await connection.fetch(
        "SELECT has_database_privilege('public', 'roles', privilege) AS has "
        "FROM unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS privilege"
    )
    assert not any(row["has"] for row in rows)
    assert not await connection.fetchval("SELECT has_schema_privilege('public', 'public', 'USAGE')")
    await connection.close()
