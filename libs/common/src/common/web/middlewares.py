"""What surrounds every request: its id, its one log line, its metrics, and its problem document."""

import random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

import asyncpg
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from common import trace
from common.bus import BusUnavailable
from common.db import Unavailable
from common.idempotency import IdempotencyMismatch
from common.log import get_logger
from common.revocation import LoginRevoked
from common.tokens import Caller, KeysUnavailable, TokenExpired, TokenInvalid
from common.web import metrics, problems

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = web.RequestKey("request_id", str)
CALLER = web.RequestKey("caller", Caller)
PROBLEM_CODE = web.RequestKey("problem_code", str)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_UNKNOWN_ROUTE = "(unknown)"

log = get_logger("http")

EDGE_STATUSES: Mapping[type[Exception], int] = {
    TokenExpired: 401,
    TokenInvalid: 401,
    LoginRevoked: 401,
    KeysUnavailable: 503,
    Unavailable: 503,
    BusUnavailable: 503,
    IdempotencyMismatch: 422,
}


def route_of(request: web.Request) -> str:
    """Return the template of the matched route, never the path itself: it may hold ids."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNKNOWN_ROUTE


def request_id_of(request: web.Request) -> str:
    """Return the caller's X-Request-ID when it is harmless, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if given and _REQUEST_ID.fullmatch(given) else random.randbytes(16).hex()


def begin(request: web.Request) -> None:
    """Name the request and its trace in every log line from here to the end of this task."""
    # Requests of one kept-alive connection may share a context: it starts anew with each.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request[REQUEST_ID])
    trace.follow(request.headers.get("traceparent"))


def name_caller(request: web.Request, caller: Caller) -> None:
    """Name who asks in every log line from here to the end of this task."""
    request[CALLER] = caller
    structlog.contextvars.bind_contextvars(user_id=caller.user_id)


class Surroundings:
    """What surrounds every request of a service, from its id to its line and its counts."""

    def __init__(
        self, service: str, statuses: Mapping[type[Exception], int], quiet: Collection[str] = ()
    ) -> None:
        self.service = service
        self.table: Mapping[type[Exception], int] = {**EDGE_STATUSES, **statuses}
        # These log only refusals: they are called all the time, and counted.
        self.quiet = QUIET.union(quiet)
        self.ongoing = metrics.ongoing(service)

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request by its handler, or its error by a problem document."""
        request[REQUEST_ID] = request_id_of(request)
        begin(request)
        started, status = time.perf_counter(), 499
        self.ongoing.requests += 1
        try:
            response = await handler(request)
            status = response.status
        except Exception as error:  # noqa: BLE001  # the edge: every error has its document
            response = explained(request, error, self.table)
            status = response.status
        finally:
            self.ongoing.requests -= 1
            account(request, service=self.service, status=status, started=started, quiet=self.quiet)
        return response

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.around(request, handler)

        return middleware


def account(
    request: web.Request, *, service: str, status: int, started: float, quiet: Collection[str]
) -> None:
    """Count a request that ends, and write its line."""
    route, seconds = route_of(request), time.perf_counter() - started
    # A method is the client's text: only the known ones may become a label.
    method = request.method if request.method in _METHODS else "OTHER"
    count, duration = metrics.of_route(service, method, route, status)
    count.inc()
    if status != 101:
        duration.observe(seconds)
    # A socket has its own line when it ends.
    if status == 101 or (route in quiet and status < 400):
        return
    caller, problem = request.get(CALLER), request.get(PROBLEM_CODE)
    write = log.info if status < 500 else log.warning
    write(
        "request",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        **({"problem": problem} if problem else {}),
        **({"role": caller.role} if caller else {}),
    )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET = frozenset({"/livez", "/readyz", "/statusz", "/metrics"})


def explained(
    request: web.Request, error: Exception, table: Mapping[type[Exception], int]
) -> web.Response:
    """Return the problem document of an error; log it when it is ours."""
    response, code = render(error, table)
    request[PROBLEM_CODE] = code
    if (caller := request.get(CALLER)) is not None:
        name_caller(request, caller)
    if response.status == 500:
        log.error("request_failed", route=route_of(request), exc_info=error)
    elif code == problems.InvalidValue.code:
        log.warning("value_reached_the_database", route=route_of(request), exc_info=error)
    return response


def render(error: Exception, table: Mapping[type[Exception], int]) -> tuple[web.Response, str]:
    """Return the problem response of an error, and its code."""
    known = _known(error)
    if isinstance(known, problems.Problem):
        return problems.problem_response(known, known.status), known.code
    for kind in type(known).__mro__:
        if kind in table:
            return problems.problem_response(known, table[kind]), problems.code_of(type(known))
    hidden = problems.Internal()
    return problems.problem_response(hidden, hidden.status), hidden.code


def _known(error: Exception) -> Exception:
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error)
    if isinstance(error, asyncpg.DataError):
        return problems.InvalidValue()
    return error


def _from_aiohttp(error: web.HTTPException) -> Exception:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        return problems.MethodNotAllowed(headers={"Allow": allow})
    kinds: dict[int, type[problems.Problem]] = {
        400: problems.Problem,
        401: problems.Unauthenticated,
        403: problems.Forbidden,
        404: problems.NotFound,
        413: problems.BodyTooLarge,
        415: problems.UnsupportedMediaType,
        417: problems.ExpectationFailed,
        426: problems.UpgradeRequired,
        503: problems.ServiceUnavailable,
    }
    kind = kinds.get(error.status, problems.Problem if error.status < 500 else problems.Internal)
    return kind()
