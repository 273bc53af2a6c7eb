"""A core subscription: NATS only fills a queue, our own worker calls the callback."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter

from common import baseline, trace
from common.bus.envelope import header
from common.log import get_logger
from common.runner import Runner

_log = get_logger("bus")
_dropped = Counter(
    "bus_heard_dropped_total", "Messages dropped because the queue was full", ["subject"]
)
_failed = Counter(
    "bus_heard_failed_total", "Callbacks of core subscriptions that raised", ["subject"]
)

Hear = Callable[[Msg], Awaitable[None]]


class Ear:
    """One subject, heard through every client that comes and goes."""

    def __init__(self, subject: str, hear: Hear, *, queue: str | None, workers: int = 1) -> None:
        self.subject = subject
        self._hear = hear
        self._group = queue or ""
        self._workers = workers
        self._waiting: asyncio.Queue[Msg] = asyncio.Queue(baseline.NATS_PENDING_MESSAGES)

    def start(self, runner: Runner) -> None:
        """Work through what was heard, in this many loops."""
        for number in range(self._workers):
            runner.spawn(f"ear-{self.subject}-{number}", self._work)

    async def attach(self, client: Client) -> None:
        """Subscribe with this client."""
        await client.subscribe(
            self.subject,
            queue=self._group,
            cb=self._put,
            pending_msgs_limit=baseline.NATS_PENDING_MESSAGES,
            pending_bytes_limit=baseline.NATS_PENDING_BYTES,
        )

    async def _put(self, message: Msg) -> None:
        # A cancellation or an error here would end the subscription in silence.
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            _dropped.labels(self.subject).inc()

    async def _work(self) -> None:
        while True:
            message = await self._waiting.get()
            structlog.contextvars.clear_contextvars()
            with trace.continued(header(message.headers, "traceparent")):
                try:
                    await self._hear(message)
                except Exception:  # noqa: BLE001 - the next message deserves its turn
                    _failed.labels(self.subject).inc()
                    _log.exception("heard_failed", subject=message.subject)
