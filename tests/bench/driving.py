"""A load generator as a child process, and what it costs the programs that it asks."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measure import cpu_ns
from tests.bench.rig import Rig

from temani.process import Process

_ANSWER_SECONDS = 120.0


class LoadFailed(Exception):
    """The load generator ended or fell silent; its last words are in the message."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one sample cost: µs of CPU per operation, by process."""

    micros: Mapping[str, float]
    per_second: float


class Load:
    """Connections to one port, opened once; `go` asks in a closed loop over all of them."""

    def __init__(self, process: subprocess.Popen[bytes], asked: Process) -> None:
        self._process = process
        self._asked = asked
        self.opened_in = 0.0

    @classmethod
    async def open(cls, rig: Rig, name: str, plan: Mapping[str, Any], asked: Process) -> "Load":
        """Open the connections of a plan (see load.py) to the program `asked`."""
        file = rig.folder / f"{name}.plan"
        file.write_text(json.dumps(plan), encoding="utf-8")
        load = cls(_start(file), asked)
        rig.on_close(load.close)
        rig.pin(load._process.pid, tested=False)
        load.opened_in = float((await load._answer())["seconds"])
        return load

    async def go(self, count: int, watched: Mapping[str, int]) -> Cost:
        """Ask `count` times; returns what it cost the watched processes (name -> pid).

        Raises LoadFailed when a single answer was not the good one.
        """
        before = {name: cpu_ns(pid) for name, pid in watched.items()}
        answer = await self._tell(f"go {count}")
        done = int(answer["count"])
        if answer["bad"]:
            raise LoadFailed(
                f"{answer['bad']} of {done} answers were no good: {answer['complaint']}"
            )
        micros = {name: (cpu_ns(pid) - before[name]) / done / 1000 for name, pid in watched.items()}
        return Cost(micros, done / float(answer["seconds"]))

    async def pace(self, *, rate: float, seconds: float) -> dict[str, Any]:
        """Send beats evenly for a while; returns how long their answers took."""
        return await self._tell(f"pace {rate} {seconds}")

    async def close(self) -> None:
        """Drop all connections."""
        if self._process.poll() is None:
            self._process.kill()
            await asyncio.to_thread(self._process.communicate)

    def _failed(self, why: str) -> LoadFailed:
        return LoadFailed("\n".join([why, f"{self._asked.name}:", *self._asked.last_lines(8)]))

    async def _tell(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                line = await asyncio.to_thread(self._process.stdout.readline)
        except TimeoutError:
            self._process.kill()  # the thread that reads ends with it
            raise self._failed("no answer in time") from None
        if not line:
            _, said = await asyncio.to_thread(self._process.communicate)
            raise self._failed(said.decode()[-300:])
        answer: dict[str, Any] = json.loads(line)
        return answer


def _start(plan: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load", str(plan)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def tokens_file(folder: Path, name: str, tokens: Sequence[str]) -> str:
    """Write tokens where a load generator reads them; returns the path."""
    file = folder / f"{name}.tokens"
    file.write_text("\n".join(tokens), encoding="ascii")
    return str(file)
