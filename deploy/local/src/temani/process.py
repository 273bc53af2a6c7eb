"""One child process: its own session, its output in a file, and dead when we are dead."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped] # its stubs are a package of their own

from temani import privileges


class Process:
    """A program we start and answer for.

    It leads a session of its own, so Ctrl-C in a terminal reaches only the launcher, and the kernel
    ends it when the launcher dies without a chance to clean up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        run_as: privileges.Identity | None = None,
        orphan_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._run_as = run_as
        self._orphan_signal = orphan_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""
        return None if self._child is None else self._child.poll()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the program; its output is appended to the log file."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=privileges.child_setup(self._orphan_signal, self._run_as),  # noqa: PLW1509 - nothing else can tie the child's life to ours; it only makes system calls
            )

    async def wait(self) -> int:
        """Wait until the process has ended and return its exit code."""
        child = self._child
        if child is None:
            raise RuntimeError(f"{self.name} was never started")
        while (code := child.poll()) is None:
            await _ended(child.pid)
        return code

    async def stop(
        self, *, first: signal.Signals = signal.SIGTERM, grace_seconds: float = 12.0
    ) -> int:
        """Ask it to end; after the grace period it is killed. Returns the exit code."""
        if self._child is None:
            return 0
        self.thaw()
        self.send(first)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        return await self.kill()

    async def kill(self) -> int:
        """End it and all its children at once, as a crash would; returns the exit code."""
        if self._child is None:
            return 0
        family = self._family()
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        code = await self.wait()
        for member in family:
            while _alive(member):  # noqa: ASYNC110 - nobody tells us of a grandchild's end
                await asyncio.sleep(0.005)
        return code

    def freeze(self) -> None:
        """Stop the process and its children from running, without ending them."""
        for member in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                member.suspend()

    def thaw(self) -> None:
        """Let a frozen process and its children run again."""
        for member in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                member.resume()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, if it still runs."""
        if self._child is not None:
            self._child.send_signal(number)

    def last_lines(self, count: int = 20) -> list[str]:
        """Return the end of the log file, for a person who asks what happened."""
        return last_lines(self.log, count)

    def _family(self) -> list[psutil.Process]:
        if not self.running:
            return []
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def last_lines(log: Path, count: int = 20) -> list[str]:
    """Return the last lines of a log file; an absent file has none."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64 * 1024))
        lines = file.read().decode(errors="replace").splitlines()
        return lines[-count:] if count else []
    return []


def _alive(member: psutil.Process) -> bool:
    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def _ended(pid: int) -> None:
    if not hasattr(os, "pidfd_open"):  # not Linux: look every 20 ms
        await asyncio.sleep(0.02)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
