"""What surrounds every request: its id, its one log line, its metrics, and its problem document."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping

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
    return given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def observe(service: str) -> Middleware:
    """Make the outermost middleware: id, log line, metrics."""
    in_flight = metrics.IN_FLIGHT.labels(service)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = request_id_of(request)
        # Requests of one kept-alive connection share a context: it starts anew with each.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 499
        in_flight.inc()
        with trace.continued(request.headers.get("traceparent")):
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                in_flight.dec()
                _account(request, service=service, status=status, started=started)

    return middleware


def _account(request: web.Request, *, service: str, status: int, started: float) -> None:
    route, seconds = route_of(request), time.perf_counter() - started
    # A method is the client's text: only the known ones may become a label.
    method = request.method if request.method in _METHODS else "OTHER"
    count, duration = metrics.of_route(service, method, route, status)
    count.inc()
    if status != 101:
        duration.observe(seconds)
    # A socket has its own line when it ends.
    if status == 101 or (route in _QUIET and status < 400):
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
_QUIET = frozenset({"/livez", "/readyz", "/statusz", "/metrics"})


def explain(statuses: Mapping[type[Exception], int]) -> Middleware:
    """Make the middleware that turns every error into a problem document."""
    table = {**EDGE_STATUSES, **statuses}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            response, code = render(error, table)
            request[PROBLEM_CODE] = code
            if response.status == 500:
                log.exception("request_failed", route=route_of(request))
            elif code == problems.InvalidValue.code:
                log.warning("value_reached_the_database", route=route_of(request), exc_info=True)
            return response

    return middleware


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
