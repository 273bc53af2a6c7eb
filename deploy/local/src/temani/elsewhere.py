"""Servers that run elsewhere: whether what answers at an address is what was meant.

Services start without Valkey and NATS and wait for them, as they must in production. A person who
types an address wants to hear at once that nothing answers there.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import nats.errors
import valkey.asyncio
import valkey.exceptions
from nats.aio.client import Client

from temani.places import Options

SECONDS = 4.0


@dataclass(frozen=True)
class Server:
    """A kind of server: its name, the schemes of its addresses, and one of them."""

    name: str
    schemes: tuple[str, ...]
    example: str


SERVERS = {
    "--postgres-url": Server(
        "Postgres",
        ("postgresql", "postgres"),
        "postgresql://administrator:secret@host:5432/postgres",
    ),
    "--valkey-url": Server(
        "Valkey", ("valkey", "valkeys", "redis", "rediss"), "valkey://host:6379/0"
    ),
    "--nats-url": Server("NATS", ("nats", "tls"), "nats://host:4222"),
}


class NoServer(Exception):
    """There is no such server at an address; the message says what to do."""


def fit(option: str, url: str) -> str:
    """Return `url` if it can be the address for `option`; raises NoServer with an example."""
    server = SERVERS[option]
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in server.schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_sound = False
    if not is_sound:
        raise NoServer(f"{url!r} is no address of a {server.name}; write one like {server.example}")
    return url


async def look(options: Options) -> None:
    """Ask each server that runs elsewhere for a sign of life; raises NoServer."""
    asked: list[tuple[str, str | None, Callable[[str], Awaitable[None]]]] = [
        ("--postgres-url", options.postgres_url, _ask_postgres),
        ("--valkey-url", options.valkey_url, _ask_valkey),
        ("--nats-url", options.nats_url, _ask_nats),
    ]
    for option, url, ask in asked:
        if url is not None:
            await _look(option, fit(option, url), ask)


async def _look(option: str, url: str, ask: Callable[[str], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            await ask(url)
    except TimeoutError:
        reason = f"no answer within {SECONDS:g} s"
    except (
        OSError,
        EOFError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        nats.errors.Error,
        valkey.exceptions.ValkeyError,
    ) as error:
        reason = str(error) or type(error).__name__
    else:
        return
    reason = reason.rstrip(".")
    raise NoServer(
        f"no {SERVERS[option].name} answers at {shown(url)} ({reason}). See that it runs there "
        f"and that {option} is right; without {option} Temani starts one of its own"
    )


def shown(url: str) -> str:
    """Return where an address points, without the password in it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


async def _ask_postgres(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.close()


async def _ask_valkey(url: str) -> None:
    client = valkey.asyncio.Valkey.from_url(url)
    try:
        await client.ping()
    finally:
        await client.aclose()


async def _ask_nats(url: str) -> None:
    client = Client()
    said: list[Exception] = []

    async def heard(error: Exception) -> None:
        said.append(error)

    try:
        await client.connect(
            url,
            allow_reconnect=False,
            connect_timeout=math.ceil(SECONDS),
            max_reconnect_attempts=1,
            error_cb=heard,
        )
    except nats.errors.NoServersError:
        # It says only that none is there; what was heard before says why.
        raise said[-1] if said else OSError("connection refused") from None
    finally:
        with contextlib.suppress(Exception):
            await client.close()
