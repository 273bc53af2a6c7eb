"""One open socket: written to at once while its client reads, queued for up to a bound while not.

Ten thousand of these live in one process, so none has a task of its own: one starts when the
client's window is closed or the connection ends, and ends with that.
"""

import asyncio
from collections import deque
from struct import pack
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from prometheus_client import Counter

from common.ids import new_id
from common.log import get_logger
from common.sockets.frames import Frame
from common.sockets.limits import CloseCode, SocketLimits
from common.tokens import Caller

log = get_logger("socket")
slow = Counter("ws_slow_readers_total", "Connections cut because they did not read", ["reason"])

_TEXT: Final = 0x81
_SHORT: Final = 126
# Most frames are short: what stands before one is made once.
_HEADS: Final = tuple(bytes((_TEXT, size)) for size in range(_SHORT))
_PING: Final = b"\x89\x00"


class Connection:
    """An authenticated socket of one user."""

    __slots__ = (
        "__weakref__",
        "_ended",
        "_guard",
        "_has_ended",
        "_limits",
        "_protocol",
        "_queue",
        "_queued_bytes",
        "_request",
        "_started",
        "_websocket",
        "_work",
        "asked_at",
        "busy",
        "caller",
        "close_code",
        "cursor",
        "data",
        "heard_at",
        "id",
        "sent",
        "warned",
    )

    def __init__(
        self,
        *,
        request: web.Request,
        websocket: web.WebSocketResponse,
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
        # When the client was heard, on the loop's clock; while `busy` nobody listens.
        self.heard_at = self.asked_at = asyncio.get_running_loop().time()
        self.busy = True
        self._request = request
        self._protocol = request.protocol
        self._websocket = websocket
        self._limits = limits
        self._queue: deque[bytes] | None = None
        self._queued_bytes = 0
        self._started = False
        self._work: asyncio.Task[None] | None = None
        self._guard: asyncio.TimerHandle | None = None
        self._ended: asyncio.Event | None = None
        self._has_ended = False

    @property
    def closing(self) -> bool:
        """Whether the connection takes no more frames."""
        return self.close_code is not None

    def send(self, frame: Frame | bytes) -> bool:
        """Send or queue a frame; False when the connection ends or was cut for not reading."""
        if self.close_code is not None:
            return False
        encoded = frame if isinstance(frame, bytes) else frame.encode()
        if self._started and self._work is None and not self._protocol.writing_paused:
            return self._transmit(encoded)
        self._enqueue(encoded)
        limits = self._limits
        if self._queued_bytes > limits.queue_bytes or self._waiting > limits.queue_frames:
            self.cut("queue_full")
            return False
        self._pursue()
        return True

    def ping(self) -> None:
        """Ask the client for a sign of life; what waits to be sent asks it as well."""
        transport = self._protocol.transport
        if transport is not None and self._work is None and not self._websocket.closed:
            transport.write(_PING)

    def close(self, code: int, *, last: Frame | None = None) -> None:
        """End the connection within 2 s, whether the client reads or not; drops what is queued."""
        if self.closing:
            return
        self.close_code = code
        self._drop_queue()
        if last is not None:
            self._enqueue(last.encode())
        loop = asyncio.get_running_loop()
        self._guard = loop.call_later(self._limits.close_seconds, self.abort)
        self._pursue()

    def cut(self, reason: str) -> None:
        """Drop a client that does not read: it comes back and resumes."""
        slow.labels(reason).inc()
        self.close_code = self.close_code or CloseCode.POLICY
        self._drop_queue()
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a word."""
        transport = self._protocol.transport
        if transport is not None:
            transport.abort()

    def start(self, first: Frame | None) -> None:
        """Start to write: `first`, then what was queued while it was being made."""
        self._started = True
        if first is not None and not self.closing:
            waiting, self._queue, self._queued_bytes = self._queue, None, 0
            self._enqueue(first.encode())
            for encoded in waiting or ():
                self._enqueue(encoded)
        self._pursue()

    async def finish(self) -> None:
        """Stop writing and drop the transport; called when the read side has ended."""
        if (work := self._work) is not None:
            if not self.closing:
                work.cancel()
            # A close waits for the client's goodbye: a transport that is dropped with unread input
            # is reset, and the client would not see why. The guard bounds it.
            # wait() instead of await: our own cancellation must not pass for the task's.
            await asyncio.wait([work])
            if not work.cancelled() and (error := work.exception()) is not None:
                log.error("socket_writer_failed", exc_info=error)
        if self._guard is not None:
            self._guard.cancel()
        self.abort()

    def mark_ended(self) -> None:
        """Note that everything about the connection is done."""
        self._has_ended = True
        if self._ended is not None:
            self._ended.set()

    async def until_ended(self) -> None:
        """Return when everything about the connection is done."""
        if not self._has_ended:
            # Made by whoever waits: it is larger than the rest of this object.
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()

    # --- writing ---------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        return 0 if self._queue is None else len(self._queue)

    def _enqueue(self, encoded: bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(encoded)
        self._queued_bytes += len(encoded)

    def _drop_queue(self) -> None:
        self._queue, self._queued_bytes = None, 0

    def _transmit(self, encoded: bytes) -> bool:
        """Hand one frame to the transport; False when the connection is gone."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing() or self._websocket.closed:
            return False
        size = len(encoded)
        if size < _SHORT:
            head = _HEADS[size]
        elif size < 65536:
            head = pack("!BBH", _TEXT, 126, size)
        else:
            head = pack("!BBQ", _TEXT, 127, size)
        transport.write(head + encoded)
        self.sent += 1
        return True

    def _pursue(self) -> None:
        """Write what waits as far as the client reads; leave the rest, and the end, to a task."""
        if not self._started or self._work is not None:
            return
        if self._write_what_fits() and not self.closing:
            return
        # Held here and awaited in finish(): it lives and ends with the connection.
        self._work = asyncio.get_running_loop().create_task(self._write(), name=f"ws-{self.id}")

    def _write_what_fits(self) -> bool:
        """Write until the client's window is closed; tells whether nothing is left."""
        if self._protocol.transport is None:
            self._drop_queue()
        while self._queue and not self._protocol.writing_paused:
            encoded = self._queue.popleft()
            self._queued_bytes -= len(encoded)
            self._transmit(encoded)
        if self._queue:
            return False
        self._queue = None
        return True

    async def _write(self) -> None:
        try:
            while not self._write_what_fits():
                async with asyncio.timeout(self._limits.send_seconds):
                    await self._request.writer.drain()
            if self.close_code is not None:
                await self._websocket.close(code=self.close_code)
            else:
                self._work = None
        except TimeoutError:
            self.cut("send_timeout")
        except (ConnectionError, RuntimeError):
            # The client went away between two frames; the read side ends by itself.
            self.abort()
