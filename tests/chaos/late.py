"""A sweeper that freezes at the worst moment: it has looked, and its command is on its way."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.chaos.drill import Drill
from typing_extensions import override

from common.testing import Proxy
from temani import environment, layout
from temani.ports import free_port
from temani.process import Process
from temani.program import Program

REPLICA = "sweeper-late"
MARK_OFFLINE = "cmd.availability.mark_offline.v1"


class Snare(Proxy):
    """A process's wire to NATS: at its first word about `subject` the process freezes.

    The word itself and all that follows it stay on the wire until heal().
    """

    def __init__(self, target: int, subject: str) -> None:
        super().__init__(target)
        self._words = subject.encode()
        self._process: Process | None = None
        self.sprung = asyncio.Event()

    def lie_in_wait_for(self, process: Process) -> None:
        """Say whose wire this is, before the process starts: it may speak as soon as it runs."""
        self._process = process

    @override
    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._words in data and self._process and not self.sprung.is_set():
                    self._process.freeze()
                    gate.clear()
                    self.sprung.set()
                await gate.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()


@dataclass
class LateSweeper:
    """A second replica of the sweeper, frozen, and the wire on which its command is held."""

    program: Program
    wire: Snare
    other_pid: int

    def hand_over(self) -> None:
        """Let the stack's own sweeper run again: it takes over when the lease has run out."""
        os.kill(self.other_pid, signal.SIGCONT)

    def speak(self) -> None:
        """Let it run again; what it had said arrives now."""
        self.program.process.thaw()
        self.wire.heal()


@contextlib.asynccontextmanager
async def late_sweeper(drill: Drill) -> AsyncIterator[LateSweeper]:
    """Let it sweep alone, for the stack's own is frozen, until its command is caught."""
    own = drill.stack.state.parts["sweeper"].pid
    async with Snare(drill.nats.port, MARK_OFFLINE) as wire:
        program = _program(drill, wire.port)
        wire.lie_in_wait_for(program.process)
        os.kill(own, signal.SIGSTOP)
        try:
            # Not until it is ready: it may freeze before.
            program.process.start()
            async with asyncio.timeout(60):
                await wire.sprung.wait()
            yield LateSweeper(program, wire, own)
            await program.stop()
        finally:
            os.kill(own, signal.SIGCONT)
            await program.kill()


def _program(drill: Drill, nats_port: int) -> Program:
    launched, port = drill.stack.launched, free_port()
    env = environment.for_service(
        "sweeper", 0, addresses=launched.addresses, keys=launched.keys, profile=launched.profile
    )
    ours = {
        "HTTP_PORT": str(port),
        "REPLICA": REPLICA,
        "NATS_URL": f"nats://127.0.0.1:{nats_port}",
        # Longer than it sleeps: it is still there to hear why it was refused.
        "COMMAND_TIMEOUT_SECONDS": "30",
    }
    return Program(
        REPLICA,
        environment.module("sweeper"),
        env={**env, **drill.stack.settings, **ours},
        port=port,
        log=launched.options.folder / "logs" / f"{REPLICA}.log",
        cwd=layout.ROOT,
    )
