"""What a Postgres server needs before the services migrate: a database, roles, passwords."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from temani import layout

ROLES_FILE = layout.DEPLOY / "postgres" / "roles.sql"
# Any number that nobody else uses: roles belong to the whole server, so two preparations of two
# databases would otherwise update the same rows at once.
_LOCK = 7_346_910_225


def login_roles() -> list[str]:
    """Return the roles that log in: one to serve and one to migrate for each service."""
    return [role for service in layout.SERVICES for role in (service, f"{service}_migrate")]


def role_url(admin_url: str, *, role: str, password: str, database: str = layout.DATABASE) -> str:
    """Return the address of a database for one role, on the server of the admin address."""
    parts = urlsplit(admin_url)
    place = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
    user = f"{quote(role)}:{quote(password)}@{place}"
    return urlunsplit((parts.scheme, user, f"/{database}", parts.query, ""))


def database_url(admin_url: str, database: str) -> str:
    """Return the admin's own address of another database on the same server."""
    return urlunsplit(urlsplit(admin_url)._replace(path=f"/{database}"))


async def prepare(
    admin_url: str, *, passwords: Mapping[str, str], database: str = layout.DATABASE
) -> None:
    """Create the database if absent, apply roles.sql in it and set the roles' passwords.

    `passwords` are by role name (`login_roles()`). Safe to repeat, also at the same time.
    """
    connection = await asyncpg.connect(admin_url, timeout=5, command_timeout=30)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _create_database(connection, database)
        await _apply_roles(admin_url, database)
        for role, password in passwords.items():
            await _set_password(connection, role, password)
    finally:
        await connection.close()


async def drop(admin_url: str, *, database: str = layout.DATABASE) -> None:
    """Drop the database with all its data; sessions in it are ended. Roles stay."""
    connection = await asyncpg.connect(admin_url, timeout=5, command_timeout=30)
    try:
        statement = await connection.fetchval(
            "SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)", database
        )
        await connection.execute(statement)
    finally:
        await connection.close()


async def _create_database(connection: asyncpg.Connection, database: str) -> None:
    found = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database)
    if not found:
        statement = await connection.fetchval(
            "SELECT format('CREATE DATABASE %I TEMPLATE template0', $1::text)", database
        )
        await connection.execute(statement)


async def _apply_roles(admin_url: str, database: str) -> None:
    inside = await asyncpg.connect(database_url(admin_url, database), timeout=5, command_timeout=30)
    try:
        await inside.execute(ROLES_FILE.read_text())
    finally:
        await inside.close()


async def _set_password(connection: asyncpg.Connection, role: str, password: str) -> None:
    statement = await connection.fetchval(
        "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password
    )
    await connection.execute(statement)
