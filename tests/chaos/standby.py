"""A copy of a running Postgres that takes over: whatever was committed after the copy is lost."""

import os
from pathlib import Path

import asyncpg
from typing_extensions import override

from temani import binaries
from temani.ports import LOOPBACK
from temani.process import Process
from temani.servers import Postgres


class Standby(Postgres):
    """A replica that was cut off; started, it promotes itself to a new timeline.

    It listens where its primary did, as the address of the database does after a failover.
    """

    def __init__(self, folder: Path, primary: Postgres) -> None:
        super().__init__(
            folder, port=primary.port, log=folder / "standby.log", password=primary._password()
        )

    async def copy(self) -> None:
        """Take the copy (pg_basebackup) while the primary runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._password()
        identity = self._identity()
        if identity is not None:
            os.chown(self.folder, identity.uid, identity.gid)
            os.chown(self._password_file, identity.uid, identity.gid)
        command = [
            str(binaries.postgres_folder() / "pg_basebackup"),
            f"--pgdata={self._data}",
            f"--dbname=postgresql://postgres@{LOOPBACK}:{self.port}",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--write-recovery-conf",
            "--no-sync",
        ]
        maker = Process(
            "pg_basebackup",
            command,
            log=self.log,
            env={**os.environ, "PGPASSWORD": self._password()},
            run_as=identity,
            cwd=self.folder,
        )
        maker.start()
        try:
            assert await maker.wait() == 0, maker.last_lines()
        finally:
            await maker.kill()

    @override
    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=2, command_timeout=10)
        except asyncpg.CannotConnectNowError:  # still replaying its log
            return False
        try:
            if await connection.fetchval("SELECT pg_is_in_recovery()"):
                await connection.fetchval("SELECT pg_promote(true, 10)")
            return bool(await connection.fetchval("SELECT NOT pg_is_in_recovery()"))
        finally:
            await connection.close(timeout=2)
