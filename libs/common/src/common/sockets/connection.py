"""One open socket: a bounded queue, one writer, and an end that cannot hang."""

import asyncio
from collections import deque
from typing import Any
from uuid import UUID

from aiohttp import WSMsgType, web
from prometheus_client import Counter

from common.ids import new_id
from common.log import get_logger
from common.sockets.frames import Frame
from common.sockets.limits import CloseCode, SocketLimits
from common.tokens import Caller

log = get_logger("socket")
slow = Counter("ws_slow_readers_total", "Connections cut because they did not read", ["reason"])


class Connection:
    """An authenticated socket of one user."""

    def __init__(
        self,
        *,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        caller: Caller,
        cursor: dict[str, int] | None,
        limits: SocketLimits,
    ) -> None:
        self.id: UUID = new_id()
        self.caller = caller
        self.cursor = cursor or {}
        self.data: dict[str, Any] = {}
        self.warned = False
        self.close_code: int | None = None
        self.sent = 0
        self._websocket = websocket
        self._transport = transport
        self._limits = limits
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._guard: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()

    @property
    def closing(self) -> bool:
        """Whether the connection takes no more frames."""
        return self.close_code is not None

    def send(self, frame: Frame | bytes) -> bool:
        """Queue a frame; False when the connection is closing or was cut for not reading."""
        if self.closing:
            return False
        encoded = frame if isinstance(frame, bytes) else frame.encode()
        self._queue.append(encoded)
        self._queued_bytes += len(encoded)
        if (
            len(self._queue) > self._limits.queue_frames
            or self._queued_bytes > self._limits.queue_bytes
        ):
            self.cut("queue_full")
            return False
        self._wake.set()
        return True

    def close(self, code: int, *, last: Frame | None = None) -> None:
        """End the connection within 2 s, whether the client reads or not; drops what is queued."""
        if self.closing:
            return
        self.close_code = code
        self._queue.clear()
        if last is not None:
            self._queue.append(last.encode())
        self._wake.set()
        loop = asyncio.get_running_loop()
        self._guard = loop.call_later(self._limits.close_seconds, self.abort)

    def cut(self, reason: str) -> None:
        """Drop a client that does not read: it comes back and resumes."""
        slow.labels(reason).inc()
        self.close_code = self.close_code or CloseCode.POLICY
        self._queue.clear()
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def start(self, first: Frame | None) -> None:
        """Start to write: `first`, then what was queued while it was being made."""
        if first is not None and not self.closing:
            self._queue.appendleft(first.encode())
            self._queued_bytes += len(self._queue[0])
        self._wake.set()
        # Held here and awaited in finish(): it lives and ends with the connection.
        self._writer = asyncio.get_running_loop().create_task(self._write(), name=f"ws-{self.id}")

    async def finish(self) -> None:
        """Stop writing and drop the transport; called when the read side has ended."""
        if self._writer is not None:
            if not self.closing:
                self._writer.cancel()
            # A close waits for the client's goodbye: a transport that is dropped with unread input
            # is reset, and the client would not see why. The guard bounds it.
            # wait() instead of await: our own cancellation must not pass for the writer's.
            await asyncio.wait([self._writer])
            if not self._writer.cancelled() and (error := self._writer.exception()) is not None:
                log.error("socket_writer_failed", exc_info=error)
        if self._guard is not None:
            self._guard.cancel()
        self.abort()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._flush()
                if self.close_code is not None:
                    await self._websocket.close(code=self.close_code)
                    return
        except TimeoutError:
            self.cut("send_timeout")
        except (ConnectionError, RuntimeError):
            # The client went away between two frames; the read side ends by itself.
            self.abort()

    async def _flush(self) -> None:
        while self._queue:
            encoded = self._queue.popleft()
            self._queued_bytes -= len(encoded)
            async with asyncio.timeout(self._limits.send_seconds):
                await self._websocket.send_frame(encoded, WSMsgType.TEXT)
            self.sent += 1
