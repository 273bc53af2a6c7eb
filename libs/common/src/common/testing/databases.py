"""Databases for tests, made from templates."""

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

_CONNECT = 5
_COMMAND = 30


async def create_database(admin_url: str, *, template: str = "template0") -> str:
    """Create a database with a name of its own and return the administrator's address of it."""
    name = f"test_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(admin_url, timeout=_CONNECT, command_timeout=_COMMAND)
    try:
        statement = await connection.fetchval(
            "SELECT format('CREATE DATABASE %I TEMPLATE %I', $1::text, $2::text)", name, template
        )
        await connection.execute(statement)
    finally:
        await connection.close()
    return urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))


async def clone_database(admin_url: str, template: str) -> str:
    """Copy a prepared database that nobody is connected to; return the copy's address."""
    return await create_database(admin_url, template=template)


async def drop_database(url: str) -> None:
    """Drop the database of this address; whoever is in it is thrown out."""
    parts = urlsplit(url)
    admin = urlunsplit(parts._replace(path="/postgres"))
    connection = await asyncpg.connect(admin, timeout=_CONNECT, command_timeout=_COMMAND)
    try:
        statement = await connection.fetchval(
            "SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)",
            parts.path.lstrip("/"),
        )
        await connection.execute(statement)
    finally:
        await connection.close()
