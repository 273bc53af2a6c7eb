"""A short way for what is called all the time, or stays for hours: no router, no middlewares.

A hot operation has no checks of its own: it asks the edge's, and whatever is not an everyday call
goes the ordinary way or through the ordinary way's functions. What it leaves out is what nobody
misses in an everyday call: a log line (it is counted) and the names of the request and its trace in
lines that others might write meanwhile. A test drives both ways with the same requests.

A socket keeps every frame between the connection and its reader for as long as it lives: in memory,
and in each step of its task. On the short way these are fewer.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_urldispatcher import UrlMappingMatchInfo
from pydantic import BaseModel

from common.tokens import Caller
from common.web import metrics, middlewares
from common.web.context import Context
from common.web.edge import Edge, render
from common.web.middlewares import Handler
from common.web.routes import Operation

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"Date: %s\r\n"
    b"X-Request-ID: %s\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\n\r\n%s"
)


class ShortWay(ABC):
    """Answers what comes for one method and path, its router's verdict known beforehand."""

    method: str
    path: str
    match: UrlMappingMatchInfo | None = None

    @abstractmethod
    def answer(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Do what router, middlewares and the ordinary handler do."""

    def prepare(self, app: web.Application) -> None:
        """Ask the router once."""
        route = next(route for route in app.router.routes() if self._is_of(route))
        self.match = UrlMappingMatchInfo({}, route)
        self.match.add_app(app)
        self.match.current_app = app
        self.match.freeze()

    def _is_of(self, route: web.AbstractRoute) -> bool:
        resource = route.resource
        return (
            route.method == self.method and resource is not None and resource.canonical == self.path
        )


class SocketLane(ShortWay):
    """A path that speaks WebSocket."""

    def __init__(self, path: str, handler: Handler, around: middlewares.Surroundings) -> None:
        self.method, self.path = "GET", path
        self._handler = handler
        self._around = around

    def answer(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Surround the handler as ever."""
        request._match_info = self.match  # noqa: SLF001  # as aiohttp's own Application does
        return self._around.around(request, self._handler)


class Lane(ShortWay):
    """One hot operation."""

    def __init__(self, edge: Edge, operation: Operation, around: middlewares.Surroundings) -> None:
        self.method, self.path = operation.method, operation.path
        self.operation = operation
        self._edge = edge
        self._around = around
        self._ongoing = around.ongoing
        self._count, self._seconds = metrics.of_route(
            edge.service, operation.method, operation.path, 200
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Do what router, middlewares and the ordinary handler do."""
        started = time.perf_counter()
        operation, status = self.operation, 499
        request_id = middlewares.request_id_of(request)
        request._match_info = self.match  # noqa: SLF001  # as aiohttp's own Application does
        known = self._edge.recognise(request, operation)
        self._ongoing.requests += 1
        try:
            caller = known or await self._edge.admit(request, operation)
            result = await operation.handler(
                Context(request, request_id, operation.path, b"", caller)
            )
            response = _whole(request, request_id, result)
            if response is None:
                self._name(request, request_id, known)
                response = render(result, operation)
            status = response.status
        except Exception as error:  # noqa: BLE001  # the edge: every error has its document
            self._name(request, request_id, known)
            response = middlewares.explained(request, error, self._around.table)
            status = response.status
        finally:
            self._ongoing.requests -= 1
            self._account(request, request_id, known, status=status, started=started)
        return response

    def _account(
        self,
        request: web.Request,
        request_id: str,
        known: Caller | None,
        *,
        status: int,
        started: float,
    ) -> None:
        if status == 200:
            self._count.inc()
            self._seconds.observe(time.perf_counter() - started)
            return
        self._name(request, request_id, known)
        middlewares.account(
            request,
            service=self._edge.service,
            status=status,
            started=started,
            quiet=self._around.quiet,
        )

    def _name(self, request: web.Request, request_id: str, known: Caller | None) -> None:
        """Give the lines of what was no everyday call after all their names."""
        if middlewares.REQUEST_ID in request:
            return
        request[middlewares.REQUEST_ID] = request_id
        middlewares.begin(request)
        if caller := known or request.get(middlewares.CALLER):
            middlewares.name_caller(request, caller)


LANES = web.AppKey("lanes", list[ShortWay])


def before(app: web.Application, lanes: Sequence[ShortWay], ordinary: Handler) -> Handler:
    """Return a handler of requests that knows the short ways and leaves the rest to another."""
    by_target = {}
    for lane in lanes:
        lane.prepare(app)
        by_target[lane.path] = lane

    def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
        lane = by_target.get(request.raw_path)
        # Only what looks like an everyday call; an expectation has its own handler.
        if lane is None or request.method != lane.method or "Expect" in request.headers:
            return ordinary(request)
        return lane.answer(request)

    return handle


class _Whole:
    """A response in one piece, with what aiohttp's connection asks of a response."""

    __slots__ = ("_data", "_request")

    status = 200
    keep_alive = True

    def __init__(self, request: web.Request, data: bytes) -> None:
        self._request = request
        self._data = data

    async def prepare(self, _request: web.BaseRequest) -> None:
        """Do nothing: the head is part of the piece."""

    async def write_eof(self) -> None:
        """Send it."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(self._data)
        if self._request.protocol.writing_paused:
            await self._request.writer.drain()


def _whole(request: web.Request, request_id: str, result: object) -> web.StreamResponse | None:
    """Render a plain answer for a connection that stays; None: it takes more than that."""
    if request.version != HttpVersion11 or not request.keep_alive:
        return None
    if isinstance(result, BaseModel):
        body = result.model_dump_json(by_alias=True).encode()
    elif isinstance(result, bytes):
        body = result
    else:
        return None
    date = rfc822_formatted_time().encode("ascii")
    data = _HEAD % (len(body), date, request_id.encode("ascii"), body)
    return cast("web.StreamResponse", _Whole(request, data))
