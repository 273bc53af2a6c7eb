"""A program of ours that answers over HTTP: a service, the providers, the gateway."""

import asyncio
import http.client
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from temani.ports import LOOPBACK
from temani.process import Process
from temani.servers import StartFailed

_POLL_SECONDS = 0.05


class Program:
    """One HTTP program with its environment; ready when `ready_path` answers 200."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        port: int,
        log: Path,
        cwd: Path,
        ready_path: str = "/readyz",
        start_seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.log = log
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self._ready_path = ready_path
        self._start_seconds = start_seconds
        self.process = Process(name, command, log=log, env=env, cwd=cwd)

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self.process.running

    async def start(self) -> None:
        """Start it and return when it is ready."""
        self.process.start()
        try:
            async with asyncio.timeout(self._start_seconds):
                await self._until_ready()
        except TimeoutError:
            await self.kill()
            raise StartFailed(self.report("was not ready in time")) from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> int:
        """Ask it to drain and end; returns its exit code."""
        return await self.process.stop(first=signal.SIGTERM)

    async def kill(self) -> int:
        """End it at once."""
        return await self.process.kill()

    async def is_ready(self) -> bool:
        """Ask it whether it is ready."""
        return await asyncio.to_thread(_answers, self.port, self._ready_path)

    def report(self, what: str) -> str:
        """Say what happened, with the end of its log."""
        lines = "\n  ".join(self.process.last_lines())
        return f"{self.name} {what}; the end of {self.log}:\n  {lines}"

    async def _until_ready(self) -> None:
        while not await self.is_ready():
            if not self.running:
                raise StartFailed(self.report(f"ended with code {self.process.returncode}"))
            await asyncio.sleep(_POLL_SECONDS)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
