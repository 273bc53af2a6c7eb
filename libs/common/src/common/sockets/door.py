"""Who gets in: a socket belongs to nobody until its token was accepted."""

import asyncio
import collections
import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import Counter

from common.clock import Clock
from common.limits import Gcra, Rate, address_key
from common.log import get_logger
from common.sockets import handshake
from common.sockets.dispatch import Checks
from common.sockets.limits import CloseCode, SocketLimits
from common.sockets.registry import Registry
from common.tokens import Caller, Verifier
from common.web import problems
from common.web.address import client_ip

closes = Counter("ws_close_total", "Sockets that ended", ["service", "code"])
log = get_logger("socket")


@dataclass(frozen=True, slots=True)
class Known:
    """Whose a socket is, and from where its client wants to go on."""

    caller: Caller
    cursor: dict[str, int] | None


class Door:
    """Admits sockets by their token, and refuses the others with the code that says why."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        revocations: Checks,
        registry: Registry,
        limits: SocketLimits,
        service: str,
        clock: Clock,
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._registry = registry
        self._limits = limits
        self._service = service
        self._opens = Gcra(Rate(per_second=1.0, burst=limits.opens_per_user), clock=clock)
        self._shut = False
        # Prepared, but nobody's yet: they count against a bound and leave with the replica too.
        self.strangers: dict[web.WebSocketResponse, str] = {}
        self._per_address: collections.Counter[str] = collections.Counter()

    def check_open(self, request: web.Request) -> None:
        """Refuse new sockets while leaving, and while too many have not said who they are."""
        if self._shut or len(self.strangers) >= self._limits.most_unauthenticated:
            raise problems.ServiceUnavailable
        if self._per_address[_address(request)] >= self._limits.most_unauthenticated_per_address:
            raise problems.RateLimited(retry_after=1.0)

    def shut(self) -> list[web.WebSocketResponse]:
        """Let nobody in any more; returns the sockets that are still nobody's."""
        self._shut = True
        return list(self.strangers)

    async def recognise(self, request: web.Request, roles: Collection[str]) -> Caller | None:
        """Return the caller that the handshake's header names; None: the first message will."""
        token = handshake.header_token(request)
        return None if token is None else await self.identify(token, roles)

    async def identify(self, token: str, roles: Collection[str]) -> Caller:
        """Return the caller of a token of one of these roles whose login lives."""
        caller = await self._verifier.verify(token, once=True)
        if caller.role not in roles:
            raise problems.Forbidden
        await self._revocations.check(caller)
        return caller

    async def admit(
        self,
        request: web.Request,
        websocket: web.WebSocketResponse,
        caller: Caller | None,
        roles: Collection[str],
    ) -> Known | None:
        """Return whose the socket is; None when it was refused and closed."""
        address = self.strangers[websocket] = _address(request)
        self._per_address[address] += 1
        try:
            return await self._authenticate(websocket, caller, roles)
        except ConnectionResetError:
            return None
        except handshake.EXPECTED as error:
            await self._refuse(request, websocket, handshake.close_code_of(error))
        except Exception:
            log.exception("socket_admission_failed")
            await self._refuse(request, websocket, CloseCode.INTERNAL)
        finally:
            del self.strangers[websocket]
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]
        return None

    async def _authenticate(
        self, websocket: web.WebSocketResponse, caller: Caller | None, roles: Collection[str]
    ) -> Known:
        cursor = None
        if caller is None:
            auth = await handshake.first_message(
                websocket, seconds=self._limits.auth_seconds, most=self._limits.message_bytes
            )
            caller, cursor = await self.identify(auth.token, roles), auth.cursor
        if self._shut:
            raise handshake.Refused(CloseCode.RESTART)
        if len(self._registry.of_user(caller.user_id)) >= self._limits.per_user:
            raise handshake.Refused(CloseCode.TOO_MANY)
        if self._opens.ask(str(caller.user_id)) > 0:
            raise handshake.Refused(CloseCode.TOO_MANY)
        return Known(caller, cursor)

    async def _refuse(
        self, request: web.Request, websocket: web.WebSocketResponse, code: int
    ) -> None:
        closes.labels(self._service, code).inc()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._limits.close_seconds):
                await websocket.close(code=code)
        if request.transport is not None:
            request.transport.abort()


def _address(request: web.Request) -> str:
    return address_key(client_ip(request))
