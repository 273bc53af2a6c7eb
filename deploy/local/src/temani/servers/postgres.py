"""A real PostgreSQL 18."""

import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import asyncpg
from typing_extensions import override

from temani import binaries, privileges
from temani.ports import LOOPBACK
from temani.process import Process
from temani.servers.base import Server, StartFailed

_SUPERUSER = "postgres"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket path has 107 characters; folders here may be deeper
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "500ms",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "max_wal_size": "512MB",
}


class Postgres(Server):
    """PostgreSQL on the loopback interface, passwords by SCRAM; `url` is the superuser's.

    `settings` are extra `postgres -c` settings. Data survive a stop and a crash (fsync is on).
    """

    name: ClassVar[str] = "postgres"
    # Fast shutdown: sessions are ended, a checkpoint is written.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port=port, log=log)
        self._settings = {**_SETTINGS, **(settings or {})}
        self._given_password = password

    @override
    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        """Return the superuser's address of one database."""
        return f"postgresql://{_SUPERUSER}:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _password_file(self) -> Path:
        return self.folder / "superuser-password"

    def _password(self) -> str:
        if self._password_file.exists():
            return self._password_file.read_text().strip()
        password = self._given_password or secrets.token_hex(16)
        self.folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._password_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(password + "\n")
        return password

    def _identity(self) -> privileges.Identity | None:
        return privileges.unprivileged([binaries.postgres_folder(), self.folder])

    @override
    async def _prepare(self) -> None:
        self._password()
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.folder / "new", ignore_errors=True)
        identity = self._identity()
        if identity is not None:
            os.chown(self.folder, identity.uid, identity.gid)
            os.chown(self._password_file, identity.uid, identity.gid)
        await self._initdb(identity)

    async def _initdb(self, identity: privileges.Identity | None) -> None:
        fresh = self.folder / "new"
        command = [
            str(binaries.postgres_folder() / "initdb"),
            f"--pgdata={fresh}",
            f"--username={_SUPERUSER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            # An unfinished cluster is thrown away (the rename below), and a power cut within the
            # half minute until the kernel has written it costs a folder that holds nothing yet.
            "--no-sync",
        ]
        maker = Process("initdb", command, log=self.log, run_as=identity, cwd=self.folder)
        maker.start()
        try:
            if await maker.wait() != 0:
                lines = "\n  ".join(maker.last_lines())
                raise StartFailed(f"initdb failed; the end of {self.log}:\n  {lines}")
        finally:
            await maker.kill()
        fresh.rename(self._data)

    @override
    def _program(self) -> Process:
        command = [str(binaries.postgres_folder() / "postgres"), "-D", str(self._data)]
        for name, value in {**self._settings, "port": str(self.port)}.items():
            command += ["-c", f"{name}={value}"]
        return Process(
            self.name,
            command,
            log=self.log,
            cwd=self.folder,
            run_as=self._identity(),
            orphan_signal=signal.SIGINT,
        )

    @override
    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=2, command_timeout=2)
        except asyncpg.CannotConnectNowError:  # still replaying its log
            return False
        try:
            return bool(await connection.fetchval("SELECT NOT pg_is_in_recovery()"))
        finally:
            await connection.close(timeout=2)
