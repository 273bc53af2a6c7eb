"""What every operation needs before its handler runs: who asks, and whether now."""

from typing import Any, cast

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from common.limits import Limiter, address_key
from common.revocation import Revocations
from common.tokens import Caller, TokenInvalid, Verifier
from common.web import binding, metrics, middlewares, problems
from common.web.address import client_ip
from common.web.context import Context, Reply
from common.web.middlewares import Handler
from common.web.routes import Operation


class Edge:
    """Admits callers by their token, their login, their role and their rate."""

    def __init__(
        self,
        *,
        service: str,
        verifier: Verifier | None,
        revocations: Revocations | None,
        limiter: Limiter,
    ) -> None:
        self.service = service
        self._verifier = verifier
        self._revocations = revocations
        self._limiter = limiter

    def serve(self, operation: Operation) -> Handler:
        """Return the aiohttp handler of an operation."""

        async def handle(request: web.Request) -> web.StreamResponse:
            caller = await self.admit(request, operation)
            if caller is not None:
                middlewares.name_caller(request, caller)
            context = Context(
                request=request,
                request_id=request[middlewares.REQUEST_ID],
                route=operation.path,
                body=await binding.read_body(request, operation),
                known_caller=caller,
            )
            result = await operation.handler(**binding.bind(request, operation, context))
            return render(result, operation)

        return handle

    async def admit(self, request: web.Request, operation: Operation) -> Caller | None:
        """Return who asks; raise why she may not. None asks of a public operation."""
        if operation.roles is None:
            self._limit_address(request, operation)
            return None
        try:
            caller = await self._identify(request)
        except (TokenInvalid, problems.Unauthenticated):
            # Guessing tokens is limited by address, as there is no user yet.
            self._limit_address(request, operation)
            raise
        request[middlewares.CALLER] = caller
        self._limit(operation, caller.rate_key)
        if caller.role not in operation.roles:
            raise problems.Forbidden
        if self._revocations is not None:
            await self._revocations.check(caller)
        return caller

    def recognise(self, request: web.Request, operation: Operation) -> Caller | None:
        """Return who asks when admit() would, without asking anybody; None: ask admit().

        Takes from her rate only when it returns her, so that asking admit() then counts once.
        """
        token = binding.bearer(request)
        if token is None or self._verifier is None or operation.roles is None:
            return None
        caller = self._verifier.known(token)
        if caller is None or caller.role not in operation.roles:
            return None
        if self._revocations is not None and not self._revocations.vouches_for(caller):
            return None
        return None if self._limiter.ask(operation.limit, caller.rate_key) > 0 else caller

    async def _identify(self, request: web.Request) -> Caller:
        token = binding.bearer(request)
        if token is None:
            raise problems.Unauthenticated
        if self._verifier is None:
            raise problems.Internal
        return await self._verifier.verify(token)

    def _limit_address(self, request: web.Request, operation: Operation) -> None:
        self._limit(operation, f"ip:{address_key(client_ip(request))}")

    def _limit(self, operation: Operation, key: str) -> None:
        wait = self._limiter.ask(operation.limit, key)
        if wait > 0:
            metrics.LIMITED.labels(self.service, operation.limit).inc()
            raise problems.RateLimited(retry_after=wait)


def render(result: object, operation: Operation) -> web.StreamResponse:
    """Turn what a handler returned into a response."""
    if isinstance(result, web.StreamResponse):
        return result
    status, headers, body = operation.status, {}, result
    if isinstance(result, Reply):
        status = result.status or operation.status
        headers, body = dict(result.headers), result.body
    if body is None:
        return web.Response(status=status, headers=headers)
    content_type = headers.pop("Content-Type", "application/json")
    return web.Response(
        status=status, body=_dump(body, operation), headers=headers, content_type=content_type
    )


def _dump(body: object, operation: Operation) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, BaseModel):
        return body.model_dump_json(by_alias=True).encode()
    return TypeAdapter(operation.result_type).dump_json(cast("Any", body), by_alias=True)
