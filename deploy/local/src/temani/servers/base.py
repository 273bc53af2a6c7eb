"""What all three data servers share: start until it answers, stop, break on purpose, mend."""

import abc
import asyncio
import contextlib
import signal
from pathlib import Path
from typing import ClassVar

from temani import ports
from temani.process import Process

_POLL_SECONDS = 0.02


class StartFailed(Exception):
    """A server ended or did not answer in time; the message carries the end of its log."""


class Server(abc.ABC):
    """A real server with its data in one folder."""

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 60.0
    # How the server is asked to end, and what the kernel sends it when the launcher was killed.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, *, port: int | None = None, log: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.port = ports.free_port() if port is None else port
        self.log = self.folder / f"{self.name}.log" if log is None else log
        self._process: Process | None = None

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The address for clients."""

    @property
    def process(self) -> Process:
        """The running program."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the program runs (frozen counts as running)."""
        return self._process is not None and self._process.running

    async def start(self) -> None:
        """Start the program and return when it answers; a second start after an end is fine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._prepare()
        self._process = self._program()
        self._process.start()
        try:
            async with asyncio.timeout(self.start_seconds):
                await self._until_ready()
        except TimeoutError:
            await self.kill()
            raise StartFailed(self._report("did not answer in time")) from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> int:
        """End the program in its own orderly way; returns its exit code."""
        if self._process is None:
            return 0
        return await self._process.stop(first=self.stop_signal)

    async def kill(self) -> int:
        """End the program and its children at once, as a crash would."""
        return 0 if self._process is None else await self._process.kill()

    def freeze(self) -> None:
        """Stop the program from running without ending it: connections stay open and silent."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let the frozen program run again."""
        self.process.thaw()

    @abc.abstractmethod
    async def _prepare(self) -> None:
        """Create what the program needs before its first start."""

    @abc.abstractmethod
    def _program(self) -> Process: ...

    @abc.abstractmethod
    async def _answers(self) -> bool:
        """Ask the server over a real connection; OSError means not yet."""

    async def _until_ready(self) -> None:
        while True:
            if not self.running:
                raise StartFailed(self._report(f"ended with code {self.process.returncode}"))
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(2):
                    if await self._answers():
                        return
            await asyncio.sleep(_POLL_SECONDS)

    def _report(self, what: str) -> str:
        lines = "\n  ".join(self.process.last_lines())
        return f"{self.name} {what}; the end of {self.log}:\n  {lines}"
