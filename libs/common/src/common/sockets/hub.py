"""The open sockets of one replica: who is connected, what they are told, and how they end."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol
from uuid import UUID

import structlog
from aiohttp import web
from prometheus_client import Gauge

from common.clock import Clock
from common.log import get_logger
from common.runner import Runner
from common.sockets import handshake
from common.sockets.care import Care
from common.sockets.connection import Connection
from common.sockets.dispatch import Checks, Dispatcher
from common.sockets.door import Door, closes
from common.sockets.frames import (
    Frame,
    Frames,
    RestartData,
    RestartFrame,
)
from common.sockets.limits import CloseCode, SocketLimits
from common.sockets.reading import Reading
from common.sockets.receiver import Receiver
from common.sockets.registry import Registry
from common.tokens import Caller, Verifier
from common.web import ALLOWED_ORIGINS, middlewares
from common.web.server import EdgeHandler

OnOpen = Callable[[Connection], Awaitable[Frame | None]]
OnClose = Callable[[Connection], Awaitable[None]]
SocketHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

connections = Gauge("ws_connections", "Open authenticated sockets", ["service"])
log = get_logger("socket")


class RevocationPort(Checks, Protocol):
    """The part of revocations that sockets need."""

    def on_revoked(self, callback: Callable[[UUID], None]) -> None:
        """Call back for each login that ends."""

    def watch(self, logins: Callable[[], Iterable[UUID]]) -> None:
        """Ask again and again about these logins."""


class Hub:
    """Keeps the connections of a service by user and by login."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        revocations: RevocationPort,
        runner: Runner,
        clock: Clock,
        service: str = "service",
        allowed_origins: Collection[str] = (),
        limits: SocketLimits | None = None,
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._runner = runner
        self._clock = clock
        self._service = service
        self._origins = tuple(allowed_origins)
        self._limits = limits or SocketLimits()
        self._registry = Registry()
        self._care = Care(self._registry, limits=self._limits, clock=clock)
        self._door = Door(
            verifier=verifier,
            revocations=revocations,
            registry=self._registry,
            limits=self._limits,
            service=service,
            clock=clock,
        )
        revocations.on_revoked(self.close_login)
        revocations.watch(self._registry.logins)
        runner.every("socket-expiry", 1.0, self.tick)

    def endpoint(
        self, *, roles: set[str], frames: Frames, on_open: OnOpen, on_close: OnClose | None = None
    ) -> SocketHandler:
        """Return the aiohttp handler of a socket for these roles.

        `on_open` makes the first frame; what is sent to the connection meanwhile comes after it.
        """
        dispatcher = Dispatcher(
            frames=frames, verifier=self._verifier, revocations=self._revocations
        )

        async def handle(request: web.Request) -> web.StreamResponse:
            self._door.check_open(request)
            origins = self._origins or request.app.get(ALLOWED_ORIGINS, ())
            handshake.check_request(request, allowed_origins=origins)
            caller = await self._door.recognise(request, roles)
            websocket = Receiver(
                # Care asks for signs of life: two timers and now and then a task less for each.
                autoping=False,
                max_msg_size=self._limits.hard_message_bytes,
                compress=False,
                timeout=self._limits.close_seconds,
            )
            await websocket.prepare(request)
            started = time.perf_counter()
            connection = await self._admit(request, websocket, caller, roles)
            if connection is not None:
                request[middlewares.CALLER] = connection.caller
                _let_go(request, websocket)
                try:
                    await self._live(connection, websocket, dispatcher, on_open)
                finally:
                    self._registry.discard(connection)
                    connections.labels(self._service).dec()
                    # Beside this task, which may be cancelled: the end must be complete.
                    leaving = self._leave(connection, websocket, on_close, started)
                    self._runner.background(leaving, name="socket-end")
                await connection.until_ended()
            return websocket

        # build_app() calls it when the replica shuts down.
        handle.drain = self.drain  # type: ignore[attr-defined]  # a function carries its owner's end
        return handle

    # --- telling ---------------------------------------------------------------------------

    def send(self, user_id: UUID, frame: Frame | bytes) -> int:
        """Tell one user on all connections of this replica; returns how many took it."""
        mine = self._registry.of_user(user_id)
        if not mine:
            return 0
        encoded = frame if isinstance(frame, bytes) else frame.encode()
        return sum(connection.send(encoded) for connection in mine)

    def connected(self, user_id: UUID) -> bool:
        """Tell whether the user has a connection to this replica."""
        return bool(self._registry.of_user(user_id))

    def users(self) -> set[UUID]:
        """Return who is connected to this replica."""
        return self._registry.users()

    def connections_of(self, user_id: UUID) -> tuple[Connection, ...]:
        """Return the connections of a user to this replica."""
        return self._registry.of_user(user_id)

    # --- ending ----------------------------------------------------------------------------

    def close_login(self, login_id: UUID, code: int = CloseCode.REVOKED) -> None:
        """End every connection of a login."""
        for connection in self._registry.of_login(login_id):
            connection.close(code)

    async def tick(self) -> None:
        """Look after everybody once."""
        await self._care.tick()

    async def drain(self) -> None:
        """Send every client elsewhere, all at once; each has 2 s to say goodbye."""
        leaving, strangers = list(self._registry), self._door.shut()
        for connection in leaving:
            wait = random.randint(0, self._limits.restart_spread_ms)
            frame = RestartFrame(data=RestartData(retry_after_ms=wait))
            connection.close(CloseCode.RESTART, last=frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_seconds + 1.0):
                await asyncio.gather(*(ws.close(code=CloseCode.RESTART) for ws in strangers))
                for connection in leaving:
                    await connection.until_ended()
        for connection in self._registry:
            connection.abort()

    # --- the life of one socket ------------------------------------------------------------

    async def _admit(
        self,
        request: web.Request,
        websocket: web.WebSocketResponse,
        caller: Caller | None,
        roles: Collection[str],
    ) -> Connection | None:
        known = await self._door.admit(request, websocket, caller, roles)
        if known is None:
            return None
        connection = Connection(
            request=request,
            websocket=websocket,
            caller=known.caller,
            cursor=known.cursor,
            limits=self._limits,
        )
        self._registry.add(connection)
        connections.labels(self._service).inc()
        return connection

    async def _leave(
        self,
        connection: Connection,
        websocket: web.WebSocketResponse,
        on_close: OnClose | None,
        started: float,
    ) -> None:
        try:
            await connection.finish()
            await self._closed(connection, on_close)
            self._account(connection, websocket, started)
        finally:
            connection.mark_ended()

    async def _open(self, connection: Connection, on_open: OnOpen) -> Frame | None:
        try:
            return await on_open(connection)
        except Exception as error:
            code = handshake.close_code_of(error)
            if code == CloseCode.INTERNAL:
                log.exception("socket_open_failed")
            connection.close(code)
            return None

    async def _closed(self, connection: Connection, on_close: OnClose | None) -> None:
        if on_close is None:
            return
        try:
            await on_close(connection)
        except Exception:
            log.exception("socket_close_failed")

    async def _live(
        self,
        connection: Connection,
        websocket: Receiver,
        dispatcher: Dispatcher,
        on_open: OnOpen,
    ) -> None:
        structlog.contextvars.bind_contextvars(connection_id=str(connection.id))
        connection.start(await self._open(connection, on_open))
        reading = Reading(connection, websocket, dispatcher, limits=self._limits, clock=self._clock)
        await reading.until_end()

    def _account(
        self, connection: Connection, websocket: web.WebSocketResponse, started: float
    ) -> None:
        code = connection.close_code or websocket.close_code or 1006
        # The client chooses its code: only the registered range may become a label.
        label = code if connection.close_code or 1000 <= code <= 1015 else "other"
        closes.labels(self._service, label).inc()
        log.info(
            "socket",
            user_id=connection.caller.user_id,
            role=connection.caller.role,
            seconds=round(time.perf_counter() - started, 1),
            sent=connection.sent,
            close=code,
        )


def _let_go(request: web.Request, websocket: web.WebSocketResponse) -> None:
    """Forget the handshake's headers on both sides: they would stay as long as the socket."""
    websocket.headers.clear()
    if isinstance(request.protocol, EdgeHandler):
        request.protocol.let_go()
