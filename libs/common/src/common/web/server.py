"""What listens: like aiohttp's own, but what is no HTTP gets a problem document and no log dump."""

import asyncio
from typing import Any, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy

from common.ids import new_id
from common.log import get_logger
from common.web import hot, problems
from common.web.middlewares import Handler

log = get_logger("http")


class EdgeHandler(RequestHandler):
    """One HTTP connection."""

    __slots__ = ("_handshake",)

    def data_received(self, data: bytes) -> None:
        """Take what came; of a handshake keep only what can be let go of later."""
        RequestHandler.data_received(self, data)  # as super(), which is looked up each time
        if self._upgraded and self._messages:
            message, payload = self._messages[-1]
            if isinstance(message, RawRequestMessage) and message.upgrade:
                self._handshake = CIMultiDict(message.headers)
                kept = CIMultiDictProxy(self._handshake)
                self._messages[-1] = message._replace(headers=kept, raw_headers=()), payload

    def let_go(self) -> None:
        """Forget what only the handshake needed: it would stay for as long as the socket."""
        self._handshake.clear()
        self._parser = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # it repeats raw bytes of the client
    ) -> web.StreamResponse:
        """Answer what the parser refused, or what even the middlewares could not catch."""
        if status >= 500:
            log.error("connection_failed", exc_info=exc)
        else:
            # Not the text of the error: it quotes headers, and one of them may be a token.
            log.info("malformed_request", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, it cannot become another one")
        problem = problems.Internal() if status >= 500 else problems.BadRequest()
        response = problems.problem_response(problem, status)
        response.headers["X-Request-ID"] = new_id().hex
        response.force_close()
        return response


class EdgeServer(web.Server):
    """Makes an EdgeHandler for each connection."""

    def __call__(self) -> EdgeHandler:
        """Return the handler of a new connection."""
        return EdgeHandler(self, loop=asyncio.get_running_loop(), **self._kwargs)


class EdgeRunner(web.AppRunner):
    """Runs an application; takes what aiohttp's AppRunner takes."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        """Unpack no body: nobody reads a packed one, and a broken one is worth no traceback."""
        super().__init__(app, auto_decompress=False, **options)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp has no parameter for the class of its handlers.
        server.__class__ = EdgeServer
        if lanes := self.app.get(hot.LANES):
            ordinary = cast("Handler", server.request_handler)
            server.request_handler = cast("Any", hot.before(self.app, lanes, ordinary))
        return server
