"""The read side of one connection: frames in their order, the plainest taken as they arrive."""

import asyncio
from typing import Final

from aiohttp import WSMsgType

from common.clock import Clock
from common.limits import Pace
from common.sockets import handshake
from common.sockets.connection import Connection
from common.sockets.dispatch import Dispatcher
from common.sockets.limits import CloseCode, SocketLimits
from common.sockets.receiver import Message, Receiver

# An enumeration is slow to look into, and these are asked for with each message.
_TEXT: Final = WSMsgType.TEXT
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG


class Reading:
    """Reads until the connection ends."""

    __slots__ = ("_clock", "_connection", "_dispatcher", "_flood", "_loop", "_most", "_websocket")

    def __init__(
        self,
        connection: Connection,
        websocket: Receiver,
        dispatcher: Dispatcher,
        *,
        limits: SocketLimits,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._websocket = websocket
        self._dispatcher = dispatcher
        self._clock = clock
        self._most = limits.message_bytes
        self._flood = Pace(
            per_second=limits.messages / limits.messages_seconds, burst=limits.messages
        )
        self._loop = asyncio.get_running_loop()

    async def until_end(self) -> None:
        """Handle one frame after the other."""
        connection, websocket = self._connection, self._websocket
        connection.busy = False
        websocket.ear.take = self.take
        try:
            async for message in websocket:
                connection.heard_at = self._loop.time()
                if connection.closing:
                    continue  # only waiting for the client's goodbye
                if message.type is _TEXT:
                    await self._handle(message.data)
                elif message.type is _PING:
                    await handshake.pong(websocket, message.data)
                elif message.type is not _PONG:  # one may have waited behind a frame
                    connection.close(CloseCode.UNSUPPORTED)
        finally:
            websocket.let_go()

    def take(self, message: Message) -> bool:
        """Take a message as it arrives; False: it waits for its turn."""
        connection = self._connection
        if message.type is _PONG:
            # Thousands of these may come in one breath.
            connection.heard_at = self._loop.time()
            return True
        if message.type is not _TEXT or connection.busy or connection.closing:
            return False
        at_once = self._dispatcher.at_once(connection, message.data)
        if at_once is None or self._flood.ask(self._clock.monotonic()) > 0:
            return False
        connection.heard_at = self._loop.time()
        self._dispatcher.take(connection, at_once)
        return True

    async def _handle(self, text: str) -> None:
        connection = self._connection
        if _size(text) > self._most:
            connection.close(CloseCode.TOO_BIG)
        elif self._flood.ask(self._clock.monotonic()) > 0:
            connection.close(CloseCode.POLICY)
        else:
            connection.busy = True
            await self._dispatcher.handle(connection, text)
            connection.busy = False


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
