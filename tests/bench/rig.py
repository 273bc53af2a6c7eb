"""The bench's machinery: real servers on loopback, one core under test, one for everything else."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.bench import measure
from tests.support import Databases, TestDatabase

from temani import ports
from temani.process import Process
from temani.servers import Nats, Postgres, Server, StartFailed, Valkey

ROUNDS = 5
_POLL_SECONDS = 0.02
_START_SECONDS = 30.0

T = TypeVar("T")


class Rig:
    """Starts what a goal needs, once, and ends all of it at the end.

    The program under test has the first core to itself; servers and load share the last one.
    """

    def __init__(
        self, folder: Path, *, say: Callable[[str], None], wanted: frozenset[str], rounds: int
    ) -> None:
        self.folder = folder
        self.rounds = rounds
        self.wanted = wanted
        self.say = say
        cores = sorted(os.sched_getaffinity(0))
        self.tested_core, self.other_core = cores[0], cores[-1]
        self._servers: dict[str, Server] = {}
        self._databases: Databases | None = None
        self._processes: list[Process] = []
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._made: dict[str, Any] = {}

    def wants(self, *goals: str) -> bool:
        """Whether one of these goals was asked for; without ONLY all are."""
        return not self.wanted or not self.wanted.isdisjoint(goals)

    async def postgres(self) -> Postgres:
        """The run's PostgreSQL, as durable as in the field."""
        server = await self._server("postgres", lambda: Postgres(self.folder / "postgres"))
        assert isinstance(server, Postgres)
        return server

    async def valkey(self) -> Valkey:
        """The run's Valkey: cluster mode, noeviction."""
        server = await self._server(
            "valkey", lambda: Valkey(self.folder / "valkey", max_memory="1gb")
        )
        assert isinstance(server, Valkey)
        return server

    async def nats(self) -> Nats:
        """The run's NATS with JetStream."""
        server = await self._server("nats", lambda: Nats(self.folder / "nats"))
        assert isinstance(server, Nats)
        return server

    async def database(self, *services: str) -> TestDatabase:
        """Make a database migrated for these services (all by default)."""
        if self._databases is None:
            self._databases = Databases(await self.postgres())
        return await self._databases.fresh(*services)

    async def once(self, name: str, make: Callable[[], Awaitable[T]]) -> T:
        """Make something that several goals share, when it is first wanted."""
        if name not in self._made:
            self._made[name] = await make()
        found: T = self._made[name]
        return found

    async def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        tested: bool = True,
    ) -> Process:
        """Start a program, wait until it listens, give it its core. Raises StartFailed."""
        process = Process(
            name,
            command,
            log=self.folder / f"{name}.log",
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self._processes.append(process)
        process.start()
        if port is not None:
            await self._until_listening(process, port)
        self.pin(process.pid, tested=tested)
        return process

    async def end(self, process: Process) -> None:
        """End a program that this rig started, before the run ends."""
        await process.stop()
        self._processes.remove(process)

    async def clear(self) -> None:
        """End all programs, so that the next goals have the machine to themselves."""
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()

    def pin(self, pid: int, *, tested: bool) -> None:
        """Give a process and its children the core under test, or the other one."""
        core = self.tested_core if tested else self.other_core
        for thread in measure.threads(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, {core})

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call `close` at the end of the run, last registered first."""
        self._closers.append(close)

    async def close(self) -> None:
        """End everything that was started, each by its own process id."""
        while self._closers:
            try:
                await self._closers.pop()()
            except Exception as error:  # noqa: BLE001 - the others must be ended all the same
                self.say(f"closing failed: {error!r}")
        await self.clear()
        for server in reversed(self._servers.values()):
            await server.stop()

    async def _server(self, name: str, make: Callable[[], Server]) -> Server:
        if name not in self._servers:
            self.say(f"starting {name}")
            server = self._servers[name] = make()
            await server.start()
            self.pin(server.pid, tested=False)
        return self._servers[name]

    async def _until_listening(self, process: Process, port: int) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await _listens(port):
                    if not process.running:
                        raise StartFailed(
                            "\n".join([f"{process.name} ended", *process.last_lines()])
                        )
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise StartFailed("\n".join([f"{process.name} hangs", *process.last_lines()])) from None


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ports.LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
