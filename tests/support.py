"""Databases for tests: one migrated template a run, a clone for whoever wants one."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from common.migrate import migrate
from temani import layout, postgres_setup
from temani.servers import Postgres

PASSWORD = "only-for-tests"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class TestDatabase:
    """One database with the roles of every service; its addresses are by role."""

    __test__ = False

    name: str
    admin_url: str

    def url(self, role: str) -> str:
        """Return the address for one role: `pairing`, `pairing_migrate`."""
        return postgres_setup.role_url(
            self.admin_url, role=role, password=PASSWORD, database=self.name
        )

    async def migrate(self, service: str) -> list[str]:
        """Apply a service's migrations; return the names of the files applied."""
        folder = layout.service_home(service) / "migrations"
        return await migrate(self.url(f"{service}_migrate"), service=service, folder=folder)

    @contextlib.asynccontextmanager
    async def connect(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        """Open a plain connection as one role."""
        async with _connection(self.url(role)) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a superuser's connection, for looking and for planting faults."""
        async with _connection(self.admin_url) as connection:
            yield connection


class Databases:
    """Hands out databases on one test server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._templates: dict[frozenset[str], str] = {}
        self._shared: TestDatabase | None = None
        self._lock = asyncio.Lock()

    async def empty(self) -> TestDatabase:
        """Create a database with roles and schemas but without a migration."""
        return await self._prepare(self._name("empty"))

    async def fresh(self, *services: str) -> TestDatabase:
        """Clone a database migrated for `services` (all of them by default)."""
        wanted = frozenset(services or layout.SERVICES)
        async with self._lock:
            if wanted not in self._templates:
                self._templates[wanted] = await self._template(wanted)
        name = self._name("clone")
        async with _connection(self._server.url) as admin:
            template = self._templates[wanted]
            # Copying files is the quicker way where a crash need not be survived.
            await admin.execute(
                f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
            )
        return TestDatabase(name, self._server.database_url(name))

    async def shared(self) -> TestDatabase:
        """Return one database for tests that only look or roll back."""
        if self._shared is None:
            self._shared = await self.fresh()
        return self._shared

    async def drop(self, database: TestDatabase) -> None:
        """Drop a database and end whoever is still in it."""
        await postgres_setup.drop(self._server.url, database=database.name)

    async def _template(self, services: frozenset[str]) -> str:
        database = await self._prepare(self._name("template"))
        for service in sorted(services):
            await database.migrate(service)
        return database.name

    async def _prepare(self, name: str) -> TestDatabase:
        passwords = dict.fromkeys(postgres_setup.login_roles(), PASSWORD)
        await postgres_setup.prepare(self._server.url, passwords=passwords, database=name)
        return TestDatabase(name, self._server.database_url(name))

    @staticmethod
    def _name(kind: str) -> str:
        return f"{kind}_{os.getpid()}_{next(_numbers)}"


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=30, command_timeout=60)
    try:
        yield connection
    finally:
        await connection.close()
