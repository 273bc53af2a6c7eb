"""The HTTP side of a service, built from its routes."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from common import baseline
from common.clock import Clock, SystemClock
from common.limits import Limiter, RateLimits
from common.revocation import Revocations
from common.tokens import Verifier
from common.web import docs, hot, metrics, middlewares, problems
from common.web.address import TRUSTED_HOPS
from common.web.edge import Edge
from common.web.health import Health
from common.web.openapi import describe
from common.web.routes import Routes

SocketHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEALTH = web.AppKey("health", Health)
ALLOWED_ORIGINS = web.AppKey("allowed_origins", tuple[str, ...])


class EdgeSettings(Protocol):
    """What the edge reads from a service's settings."""

    @property
    def trusted_hops(self) -> int:
        """How many gateways of ours stand in front."""


def build_app(
    *,
    settings: EdgeSettings,
    service: str,
    title: str,
    routes: Sequence[Routes],
    statuses: Mapping[type[Exception], int],
    verifier: Verifier | None,
    revocations: Revocations | None,
    health: Health,
    sockets: Sequence[tuple[str, SocketHandler]] = (),
    limits: RateLimits | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """Build the application of a service.

    Limits come from the argument, else from `settings.rate_limits`, else from the defaults.
    `settings.allowed_origins` reaches the sockets of the application.
    """
    operations = [operation for group in routes for operation in group]
    if verifier is None and any(operation.roles is not None for operation in operations):
        raise ValueError("routes with roles need a verifier")
    edge = Edge(
        service=service,
        verifier=verifier,
        revocations=revocations,
        limiter=Limiter(
            limits or getattr(settings, "rate_limits", None) or RateLimits(),
            clock=clock or SystemClock(),
        ),
    )
    busy = [operation for operation in operations if operation.hot]
    around = middlewares.Surroundings(
        service, statuses, quiet=[operation.path for operation in busy]
    )
    app = web.Application(
        client_max_size=baseline.HTTP_CLIENT_MAX_SIZE, middlewares=[around.middleware()]
    )
    app[hot.LANES] = [
        *(hot.Lane(edge, operation, around) for operation in busy),
        *(hot.SocketLane(path, handler, around) for path, handler in sockets),
    ]
    app[HEALTH] = health
    if replica := getattr(settings, "replica", None):
        health.facts.setdefault("replica", str(replica))
    app[TRUSTED_HOPS] = settings.trusted_hops
    app[ALLOWED_ORIGINS] = tuple(getattr(settings, "allowed_origins", ()))
    app.on_response_prepare.append(_stamp)
    for operation in operations:
        _add(app, operation.method, operation.path, edge.serve(operation))
    for path, handler in sockets:
        _add(app, "GET", path, handler)
        drain = getattr(handler, "drain", None)
        if drain is not None:
            app.on_shutdown.append(_at_shutdown(drain))

    @functools.cache
    def description() -> bytes:
        return docs.render_json(describe(title=title, operations=operations, statuses=statuses))

    _add_operations(app, service=service, title=title, health=health, description=description)
    return app


def _at_shutdown(
    drain: Callable[[], Awaitable[None]],
) -> Callable[[web.Application], Awaitable[None]]:
    async def on_shutdown(_app: web.Application) -> None:
        await drain()

    return on_shutdown


def _add(app: web.Application, method: str, path: str, handler: SocketHandler) -> None:
    app.router.add_route(method, path, handler, expect_handler=_expect)


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect: 100-continue`; another expectation is a problem, not a text."""
    if request.headers.get("Expect", "").strip().lower() != "100-continue":
        refused = problems.ExpectationFailed()
        return problems.problem_response(refused, refused.status)
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


async def _stamp(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers["X-Request-ID"] = request.get(middlewares.REQUEST_ID) or middlewares.request_id_of(
        request
    )
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # The version of the server helps attackers only.
    headers.popall("Server", None)


def _add_operations(
    app: web.Application,
    *,
    service: str,
    title: str,
    health: Health,
    description: Callable[[], bytes],
) -> None:
    async def livez(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.StreamResponse:
        trouble = health.trouble()
        if trouble is None:
            return web.json_response({"status": "ready"})
        refused = problems.ServiceUnavailable(f"not ready: {trouble}")
        return problems.problem_response(refused, refused.status)

    async def statusz(_request: web.Request) -> web.StreamResponse:
        return web.json_response(await _status(service, health))

    async def scrape(_request: web.Request) -> web.StreamResponse:
        return await metrics.expose(service, health)

    async def openapi(_request: web.Request) -> web.StreamResponse:
        # Made when somebody asks, and beside the loop: it takes longer than the rest of the start.
        body = await asyncio.to_thread(description)
        return web.Response(body=body, content_type="application/json")

    async def page(_request: web.Request) -> web.StreamResponse:
        return docs.page(title)

    for path, handler in (
        ("/livez", livez),
        ("/readyz", readyz),
        ("/statusz", statusz),
        ("/metrics", scrape),
        ("/openapi.json", openapi),
        ("/docs", page),
    ):
        _add(app, "GET", path, handler)


async def _status(service: str, health: Health) -> dict[str, Any]:
    states = await health.dependencies()
    return {
        "service": service,
        "ready": health.trouble() is None,
        "trouble": health.trouble(),
        "draining": health.draining,
        **health.facts,
        "dependencies": {
            name: {"up": state.up, "detail": state.detail} for name, state in states.items()
        },
    }
