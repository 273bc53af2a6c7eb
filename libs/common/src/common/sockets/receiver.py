"""aiohttp's socket with an ear: some messages are taken as they arrive, and wake no task."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketReader, WebSocketWriter
from aiohttp.http_websocket import WSMessage, WSMessageTextBytes
from aiohttp.web_request import BaseRequest

Message = WSMessage | WSMessageTextBytes
Take = Callable[[Message], bool]

# As aiohttp has it: what may wait to be read before the client is made to wait.
_ROOM = 2**16


class Ear(WebSocketDataQueue):
    """The line of messages that wait for the socket's reader."""

    take: Take | None = None

    def feed_data(self, data: Message, size: int) -> None:
        """Give a message to whoever takes it at once, unless others wait before it."""
        if self.take is None or self._buffer or not self.take(data):
            super().feed_data(data, size)


class Receiver(web.WebSocketResponse):
    """A socket whose messages may be taken as they arrive."""

    ear: Ear

    def _post_start(
        self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter
    ) -> None:
        # aiohttp has no parameter for the class of its line; the rest is what it does itself.
        self._ws_protocol = protocol
        self._writer = writer
        loop = asyncio.get_running_loop()
        self.ear = self._reader = Ear(request.protocol, _ROOM, loop=loop)
        self._parser = WebSocketReader(
            self._reader, self._max_msg_size, compress=False, decode_text=True
        )
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)

    def let_go(self) -> None:
        """Let go of whoever reads, and of the error that ended it, as their frames hold this.

        Else it would stay, with its connection, until a collection looks this far: they are rare.
        """
        self.ear.take = None
        self._exception = None
