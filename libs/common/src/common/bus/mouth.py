"""Saying things that may be lost: hints and realtime frames, without ever waiting for NATS."""

import asyncio
from collections import deque
from collections.abc import Mapping

from nats.errors import Error as NatsError
from prometheus_client import Counter

from common import baseline
from common.bus.link import Link
from common.log import get_logger
from common.runner import Runner

_log = get_logger("bus")
_told = Counter("bus_told_total", "Best-effort messages sent")
_lost = Counter("bus_told_lost_total", "Best-effort messages dropped because NATS was away")


class Mouth:
    """A bounded line of messages and one loop that says them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[tuple[str, bytes, dict[str, str] | None]] = deque()
        self._wake = asyncio.Event()

    def start(self, runner: Runner) -> None:
        """Say what is waiting for as long as the process lives."""
        runner.spawn("bus-mouth", self._say)

    def tell(self, subject: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        """Queue one message; drop it while NATS is away, because late it would mislead."""
        if not self._link.up or len(self._waiting) >= baseline.NATS_PENDING_MESSAGES:
            _lost.inc()
            return
        self._waiting.append((subject, payload, dict(headers) if headers else None))
        self._wake.set()

    async def _say(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Say everything that is waiting now."""
        while self._waiting:
            subject, payload, headers = self._waiting.popleft()
            client = self._link.client
            if client is None:
                _lost.inc()
                continue
            try:
                await client.publish(subject, payload, headers=headers)
                _told.inc()
            except (NatsError, OSError, TimeoutError) as error:
                _lost.inc()
                _log.debug("tell_lost", subject=subject, error=type(error).__name__)
