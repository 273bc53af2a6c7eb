"""A wire between a client and a server that a test can cut, gate, slow down or reset."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Proxy:
    """Forwards one loopback port to another; start with `async with`."""

    def __init__(self, target: int, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_server = asyncio.Event()
        self._to_client = asyncio.Event()
        self._refusing = False
        self.delay = 0.0
        self.port = 0
        self.connections = 0
        self.heal()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.heal()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heal(self) -> None:
        """Let everything through again, what was held back included."""
        self._to_server.set()
        self._to_client.set()
        self._refusing = False
        self.delay = 0.0

    def blackhole(self) -> None:
        """Hold everything back in both directions; connections stay open (half-open sockets)."""
        self._to_server.clear()
        self._to_client.clear()

    def gate_replies(self) -> None:
        """Hold back only what the server says: a request is done, its outcome unknown."""
        self._to_client.clear()

    def refuse(self) -> None:
        """Cut every connection and every new one."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        """Cut the present connections with a reset."""
        for writer in list(self._writers):
            _reset(writer)
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._target)
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pump(reader, far_writer, self._to_server),
                self._pump(far_reader, writer, self._to_client),
            )
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await gate.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    if end is not None and not writer.transport.is_closing():
        # Without lingering a close is a reset, not an orderly end.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
