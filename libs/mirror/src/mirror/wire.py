"""One connection to Valkey: all commands of one event-loop tick leave in one write.

Replies resolve in order. A reply that is late ends the connection, because whatever comes after it
on the same wire is late, too; nothing is retried here.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from libvalkey import Reader, ReplyError, pack_command

Argument = bytes | str | int | float
Reply = Any  # what RESP carries: bytes, int, None, lists of these, ReplyError

_MAX_PENDING: Final = 20_000


class WireLost(Exception):  # a fact, as ConnectionLost
    """The connection broke, or a reply did not come in time; its commands may have run."""


class _Tick:
    """The commands of one event-loop tick: when they left, None while they wait for its end."""

    __slots__ = ("left_at",)

    def __init__(self) -> None:
        self.left_at: float | None = None


class Wire(asyncio.Protocol):
    """A connection that is alive until its first trouble."""

    def __init__(self, *, timeout: float, on_lost: Callable[["Wire", str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._pending: deque[tuple[_Tick, asyncio.Future[Reply], int]] = deque()
        self._got: list[Reply] = []
        self._wrong: ReplyError | None = None
        self._out: list[bytes] = []
        self._tick = _Tick()
        self._timeout = timeout
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.lost: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, command: Sequence[Argument]) -> "asyncio.Future[Reply]":
        """Queue a command for the end of this tick; the future gets its reply or WireLost."""
        return self.send_packed(pack_command(tuple(command)), 0)

    def send_packed(self, commands: bytes, replies: int) -> "asyncio.Future[Reply]":
        """Queue packed commands; the future gets a list of so many replies (0: the one reply)."""
        if self.lost is not None:
            raise WireLost(self.lost)
        if len(self._pending) >= _MAX_PENDING:
            raise WireLost("too many commands wait for their replies")
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(commands)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._pending.append((self._tick, future, replies))
        return future

    def data_received(self, data: bytes) -> None:
        """Hand out replies in the order of their commands."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if not self._pending:
                self.abort("a reply without a command")
                return
            if replies := self._pending[0][2]:
                self._got.append(reply)
                if isinstance(reply, ReplyError):
                    self._wrong = self._wrong or reply
                if len(self._got) == replies:
                    got, self._got = self._got, []
                    wrong, self._wrong = self._wrong, None
                    _settle(self._pending.popleft()[1], wrong or got)
            else:
                _settle(self._pending.popleft()[1], reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._end(str(exc) if exc else "closed by the server")

    def abort(self, reason: str) -> None:
        """Drop the connection now; unsent data goes with it."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _flush(self) -> None:
        if self._out and self._transport is not None and self.lost is None:
            self._transport.write(b"".join(self._out))
            # From here on Valkey is waited for: a stall of ours before was not its own.
            self._tick.left_at = self._loop.time()
            if self._deadline is None:
                self._deadline = self._loop.call_later(self._timeout, self._check)
        self._tick = _Tick()
        self._out.clear()

    def _check(self) -> None:
        """Look whether the oldest command has waited too long."""
        self._deadline = None
        if not self._pending or self.lost is not None:
            return
        left_at = self._pending[0][0].left_at
        if left_at is None:
            return  # nor has any after it left; who sends them sets the next deadline
        left = left_at + self._timeout - self._loop.time()
        if left <= 0:
            self.abort("no reply in time")
        else:
            self._deadline = self._loop.call_later(left, self._check)

    def _end(self, reason: str) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        if self._deadline is not None:
            self._deadline.cancel()
        for _, future, _ in self._pending:
            if not future.done():
                future.set_exception(WireLost(reason))
        self._pending.clear()
        self._on_lost(self, reason)


def _settle(future: "asyncio.Future[Reply]", reply: Reply) -> None:
    if future.done():
        return
    if isinstance(reply, ReplyError):
        future.set_exception(reply)
    else:
        future.set_result(reply)
