"""Keeps a part of the stack running: restarts it with a growing pause, gives up loudly."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from temani.process import Process, last_lines
from temani.servers import StartFailed

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
# Five ends within a minute are not bad luck.
_LIMIT, _WINDOW_SECONDS = 5, 60.0
_LINES = 20


class Part(Protocol):
    """A server or a program."""

    @property
    def name(self) -> str:
        """How it is called in messages, logs and state."""

    @property
    def log(self) -> Path:
        """The file with its output."""

    @property
    def process(self) -> Process:
        """The running program."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def running(self) -> bool:
        """Whether it runs."""

    async def start(self) -> None:
        """Start it and return when it answers."""

    async def stop(self) -> int:
        """End it in its orderly way."""

    async def kill(self) -> int:
        """End it at once."""


class Supervisor:
    """Watches one part from its first start until `stop`."""

    def __init__(
        self, part: Part, *, say: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.part = part
        self.restarts = 0
        self.gave_up = False
        self._say = say
        self._changed = changed
        self._ends: deque[float] = deque(maxlen=_LIMIT)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the part; a failure now is raised, later ones are restarted."""
        await self.part.start()
        self._task = asyncio.get_running_loop().create_task(self._watch(), name=self.part.name)

    async def stop(self) -> int:
        """Stop watching and end the part; returns its exit code."""
        await self._stop_watching()
        return await self.part.stop()

    async def kill(self) -> None:
        """Stop watching and end the part at once."""
        await self._stop_watching()
        await self.part.kill()

    async def _stop_watching(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _watch(self) -> None:
        while True:
            code = await self.part.process.wait()
            self._report(code)
            while not await self._restart():
                if self._too_often():
                    self._give_up()
                    return

    async def _restart(self) -> bool:
        if self._too_often():
            return False
        recent = sum(1 for end in self._ends if time.monotonic() - end < _WINDOW_SECONDS)
        await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (recent - 1), _LONGEST_PAUSE))
        try:
            await self.part.start()
        except (StartFailed, OSError) as error:
            self._ends.append(time.monotonic())
            self._say(f"✗ {self.part.name} did not start again: {error}")
            return False
        self.restarts += 1
        self._say(f"✓ {self.part.name} runs again (restart {self.restarts})")
        self._changed()
        return True

    def _report(self, code: int) -> None:
        self._ends.append(time.monotonic())
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        lines = "\n".join(f"  │ {line}" for line in last_lines(self.part.log, _LINES))
        self._say(f"✗ {self.part.name} {how}; the end of {self.part.log}:\n{lines}")

    def _too_often(self) -> bool:
        return len(self._ends) == _LIMIT and (time.monotonic() - self._ends[0] < _WINDOW_SECONDS)

    def _give_up(self) -> None:
        self.gave_up = True
        self._changed()
        self._say(
            f"✗✗ {self.part.name} ended {_LIMIT} times within {_WINDOW_SECONDS:.0f} s and stays "
            f"down. Its log: {self.part.log}"
        )
