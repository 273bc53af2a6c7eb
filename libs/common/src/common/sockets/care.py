"""Who is still there, and whose token still holds: one pass over all sockets, again and again."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from common.clock import Clock
from common.sockets.connection import Connection
from common.sockets.frames import TokenExpiringData, TokenExpiringFrame
from common.sockets.limits import CloseCode, SocketLimits
from common.sockets.registry import Registry

# Ten thousand looked at in one go would keep everybody else waiting.
_IN_ONE_GO: Final = 256


class Care:
    """Asks the silent for a sign of life, warns whose token ends soon, ends what has ended."""

    def __init__(self, registry: Registry, *, limits: SocketLimits, clock: Clock) -> None:
        self._registry = registry
        self._limits = limits
        self._clock = clock

    async def tick(self) -> None:
        """Look after everybody once."""
        loop, now = asyncio.get_running_loop(), self._clock.now()
        for number, connection in enumerate(self._registry, start=1):
            self._listen(connection, loop.time())
            self._look_at_token(connection, now)
            if number % _IN_ONE_GO == 0:
                await asyncio.sleep(0)

    def _listen(self, connection: Connection, now: float) -> None:
        if connection.busy or connection.closing:
            return
        every = self._limits.heartbeat_seconds
        if now - connection.heard_at < every:
            return
        if connection.asked_at <= connection.heard_at:
            connection.asked_at = now
            connection.ping()
        elif now - connection.asked_at >= every / 2:
            connection.close_code = CloseCode.SILENT
            connection.abort()

    def _look_at_token(self, connection: Connection, now: datetime) -> None:
        left = connection.caller.expires_at - now
        if left > timedelta(seconds=self._limits.expiring_seconds):
            return
        if left <= timedelta(seconds=-self._limits.expired_seconds):
            connection.close(CloseCode.EXPIRED)
        elif not connection.warned:
            connection.warned = True
            data = TokenExpiringData(expires_at=connection.caller.expires_at.isoformat())
            connection.send(TokenExpiringFrame(data=data))
