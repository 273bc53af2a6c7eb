"""Migrations: plain SQL files, applied once each, in order, by however many runners start."""

import asyncio
import hashlib
import random
import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import asyncpg

from common import baseline
from common.log import get_logger

Stage = Literal["pre", "post", "all"]

_log = get_logger("migrate")
_PLUMBING = Path(__file__).with_name("migrations")
_FILE = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
_SERVICE = re.compile(r"^[a-z][a-z0-9_]{0,30}$")
_OUTSIDE = "-- no-transaction"
_LOCK_SPACE = 0x7E3A
_LOCK_POLL = 0.2
_LOCK_PATIENCE = 120.0
_CONNECT_PATIENCE = 60.0
_LOCK_TIMEOUT = "2s"
_TRIES = 11
# Index builds take their time; the network does not.
_COMMAND_TIMEOUT = 600.0
# What is skipped when a file is cut into statements: comments, texts, dollar-quoted bodies.
_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|(\$[A-Za-z_]*\$).*?\1|;", re.DOTALL
)


class MigrationError(Exception):
    """The files and the database do not fit together, or a file could not be applied."""


class Fetches(Protocol):
    """Anything that can fetch one value: our connection or asyncpg's."""

    async def fetchval(self, query: str, *args: object) -> object:
        """Return the first column of the first row."""
        ...


@dataclass(frozen=True)
class Migration:
    """One file."""

    source: str
    name: str
    stage: str
    text: str

    @property
    def checksum(self) -> str:
        """The digest that must never change once the file was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """Whether the file runs in a transaction; the first line can say no."""
        return not self.text.startswith(_OUTSIDE)


async def migrate(url: str, *, service: str, folder: Path, stage: Stage = "all") -> list[str]:
    """Bring the service's schema up to its files and return the names that were applied.

    Runs as `<service>_migrate` (or a superuser) and creates everything as `<service>_owner`.
    """
    if not _SERVICE.match(service):
        raise MigrationError(f"{service!r} is no service name.")
    wanted = [
        migration
        for migration in (*read(_PLUMBING, source="plumbing"), *read(folder, source=service))
        if stage in ("all", migration.stage)
    ]
    connection = await _connect(url, service)
    try:
        await _prepare(connection, service)
        if not await _missing(connection, wanted):
            return []
        await _lock(connection, service)
        await connection.execute(_LEDGER)
        applied = []
        for migration in await _missing(connection, wanted):
            await _apply(connection, migration)
            applied.append(migration.name)
        return applied
    finally:
        # Closing the session also lets go of the advisory lock.
        await connection.close(timeout=baseline.PG_CLOSE_TIMEOUT)


async def schema_version(connection: Fetches, service: str) -> int:
    """Return the highest number of the service's applied files; 0 when there are none."""
    if not _SERVICE.match(service):
        raise MigrationError(f"{service!r} is no service name.")
    if await connection.fetchval("SELECT to_regclass($1)", f"{service}.schema_migrations") is None:
        return 0
    last = await connection.fetchval(
        f"SELECT max(name) FROM {service}.schema_migrations WHERE source = $1",  # noqa: S608 - checked name
        service,
    )
    return int(str(last)[:4]) if last else 0


def read(folder: Path, *, source: str) -> list[Migration]:
    """Return the files of a folder in order; refuse stray names, twins and unsafe statements."""
    migrations: list[Migration] = []
    numbers: set[str] = set()
    for file in sorted(folder.glob("*.sql")):
        match = _FILE.match(file.name)
        if match is None:
            raise MigrationError(f"{file}: name it NNNN_pre_what.sql or NNNN_post_what.sql.")
        if match[1] in numbers:
            raise MigrationError(f"{file}: the number {match[1]} is taken.")
        numbers.add(match[1])
        migration = Migration(
            source=source, name=file.stem, stage=match[2], text=file.read_text(encoding="utf-8")
        )
        _check(migration)
        migrations.append(migration)
    return migrations


def statements(text: str) -> int:
    """Count the statements of a text, looking past comments and quotes."""
    code, end = [], 0
    for match in _TOKEN.finditer(text):
        code.append(text[end : match.start()])
        found = match[0]
        if not found.startswith(("--", "/*")):
            code.append(";" if found == ";" else "x")
        end = match.end()
    code.append(text[end:])
    return sum(1 for part in "".join(code).split(";") if part.strip())


def _check(migration: Migration) -> None:
    found = statements(migration.text)
    if found == 0:
        raise MigrationError(f"{migration.name} holds no statement.")
    if not migration.in_transaction and found != 1:
        raise MigrationError(
            f"{migration.name} runs outside a transaction: it must hold one statement, not {found}."
        )
    if migration.in_transaction and re.search(
        r"\bCONCURRENTLY\b", _bare(migration.text), re.IGNORECASE
    ):
        raise MigrationError(f"{migration.name}: CONCURRENTLY needs the first line {_OUTSIDE!r}.")


def _bare(text: str) -> str:
    return _TOKEN.sub(" ", text)


_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    source     text NOT NULL,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seconds    real NOT NULL,
    PRIMARY KEY (source, name)
)
"""
_RECORD = """
INSERT INTO schema_migrations (source, name, checksum, seconds) VALUES ($1, $2, $3, $4)
"""

Raw = asyncpg.Connection


async def _connect(url: str, service: str) -> "Raw[asyncpg.Record]":
    deadline = time.monotonic() + _CONNECT_PATIENCE
    while True:
        try:
            return await asyncpg.connect(
                url,
                timeout=baseline.PG_CONNECT_TIMEOUT,
                command_timeout=_COMMAND_TIMEOUT,
                server_settings={"application_name": f"{service}-migrate"},
            )
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if time.monotonic() > deadline:
                raise MigrationError(f"Postgres did not answer: {error}") from error
            _log.warning("postgres_awaited", error=str(error))
        await asyncio.sleep(random.uniform(0.2, 1.0))


async def _prepare(connection: "Raw[asyncpg.Record]", service: str) -> None:
    await connection.execute(
        f"SET ROLE {service}_owner; SET search_path = {service};"
        f" SET lock_timeout = '{_LOCK_TIMEOUT}';"
        " SET statement_timeout = 0; SET transaction_timeout = 0;"
        " SET idle_in_transaction_session_timeout = '60s'"
    )


async def _missing(connection: "Raw[asyncpg.Record]", wanted: list[Migration]) -> list[Migration]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return wanted
    rows = await connection.fetch("SELECT source, name, checksum FROM schema_migrations")
    known = {(row["source"], row["name"]): row["checksum"] for row in rows}
    missing = []
    for migration in wanted:
        checksum = known.get((migration.source, migration.name))
        if checksum is None:
            missing.append(migration)
        elif checksum != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it was applied.")
    return missing


async def _lock(connection: "Raw[asyncpg.Record]", service: str) -> None:
    # Polled, not awaited: a session that waits in pg_advisory_lock holds a snapshot, a
    # concurrent index build waits for that snapshot, and both wait for ever.
    key = zlib.crc32(service.encode()) - 2**31
    deadline = time.monotonic() + _LOCK_PATIENCE
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_SPACE, key):
        if time.monotonic() > deadline:
            raise MigrationError(f"Another runner has held the lock of {service} for too long.")
        await asyncio.sleep(_LOCK_POLL * random.uniform(0.5, 1.5))


async def _apply(connection: "Raw[asyncpg.Record]", migration: Migration) -> None:
    for attempt in range(1, _TRIES + 1):
        started = time.monotonic()
        try:
            if migration.in_transaction:
                async with connection.transaction():
                    await connection.execute(migration.text)
                    await _record(connection, migration, time.monotonic() - started)
            else:
                await _drop_broken_indexes(connection, migration)
                await connection.execute(migration.text)
                await _record(connection, migration, time.monotonic() - started)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if attempt == _TRIES:
                raise MigrationError(f"{migration.name} never got its lock.") from error
            _log.warning("migration_waits", migration=migration.name, attempt=attempt)
            await asyncio.sleep(random.uniform(0.2, 1.0) * min(attempt, 4))
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.name}: {error}") from error
        else:
            _log.info("migration_applied", migration=migration.name, attempts=attempt)
            return


async def _record(connection: "Raw[asyncpg.Record]", migration: Migration, seconds: float) -> None:
    await connection.execute(_RECORD, migration.source, migration.name, migration.checksum, seconds)


async def _drop_broken_indexes(connection: "Raw[asyncpg.Record]", migration: Migration) -> None:
    """Remove what a failed concurrent build left: IF NOT EXISTS would take it for the index."""
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE NOT i.indisvalid AND c.relnamespace = to_regnamespace(current_schema())"
    )
    for row in rows:
        if re.search(rf"\b{re.escape(row['relname'])}\b", migration.text):
            await connection.execute(f'DROP INDEX CONCURRENTLY "{row["relname"]}"')
