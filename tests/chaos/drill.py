"""A running stack whose data servers the tests may break, and faults on a timetable."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.e2e.stack import Stack

from temani.servers import Nats, Postgres, Valkey


@dataclass
class Drill:
    """The stack, and the servers under it that it did not start itself."""

    stack: Stack
    postgres: Postgres
    valkey: Valkey
    nats: Nats

    def kill_service(self, name: str) -> None:
        """End one service as a crash would; its supervisor is to start it anew."""
        part = next(s.part for s in self.stack.launched.supervisors if s.part.name == name)
        os.kill(part.pid, signal.SIGKILL)

    async def restart_valkey(self) -> None:
        """Kill Valkey and start it empty."""
        await self.valkey.kill()
        await self.valkey.start()

    async def restart_postgres(self) -> None:
        """End Postgres with everything open, and start it on the same data."""
        await self.postgres.kill()
        await self.postgres.start()

    async def cut_nats(self, seconds: float) -> None:
        """Kill NATS, and start it on the same store some seconds later."""
        await self.nats.kill()
        await asyncio.sleep(seconds)
        await self.nats.start()


@dataclass
class Timetable:
    """Faults by the second of the run; each is started once and awaited at the end."""

    faults: dict[float, Callable[[], Awaitable[None] | None]]
    _running: list[asyncio.Future[None]] = field(default_factory=list)
    _done: set[float] = field(default_factory=set)

    def on_tick(self, elapsed: float, _world: object) -> None:
        """Start whatever is due by now."""
        for second, fault in self.faults.items():
            if second <= elapsed and second not in self._done:
                self._done.add(second)
                started = fault()
                if started is not None:
                    self._running.append(asyncio.ensure_future(started))

    async def over(self) -> None:
        """Wait for the faults to be over; a fault that failed raises here."""
        assert self._done == set(self.faults), "the run ended before its faults"
        await asyncio.gather(*self._running)
