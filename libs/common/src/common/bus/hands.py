"""What a consumer holds between arrival and answer: each event by itself, or all that wait."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import structlog
from nats.aio.msg import Msg
from prometheus_client import Counter, Histogram

from common import baseline, trace
from common.bus.envelope import header
from common.bus.settle import Settler, answer_server
from common.runner import Runner

_handled = Counter("events_handled_total", "Events heard, by outcome", ["consumer", "outcome"])
_seconds = Histogram("event_handle_seconds", "Handling one event", ["consumer"])
_gathered = Histogram(
    "events_gathered",
    "Events handled together",
    ["consumer"],
    buckets=(1, 2, 5, 10, 50, 100, 250, 500),
)

_KEEP_EVERY = baseline.CONSUMER_ACK_WAIT / 3


class Hands(ABC):
    """Counts what is held, so that nobody asks the server for more than can be taken."""

    room: int
    """How many may be held."""
    at_once: int
    """How many to ask for at a time, at the most."""
    max_ack_pending: int
    """How many the server may leave with all replicas together."""

    def __init__(self, *, consumer: str, runner: Runner, settler: Settler) -> None:
        self._consumer = consumer
        self._runner = runner
        self._settler = settler
        self._held = 0
        self._freed = asyncio.Event()

    @abstractmethod
    def take(self, message: Msg) -> None:
        """Handle it soon; returns at once."""

    async def free(self) -> int:
        """Wait until something may be asked for; return how many, 0 when the process stops."""
        while self._held >= self.room:
            if self._runner.stopping:
                return 0
            self._freed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._freed.wait()
        return min(self.at_once, self.room - self._held)

    def _let_go(self, count: int) -> None:
        self._held -= count
        self._freed.set()


class Singly(Hands):
    """Each event has its own run of the handler, a few at a time."""

    room = at_once = baseline.CONSUMER_FETCH_BATCH
    max_ack_pending = baseline.CONSUMER_MAX_ACK_PENDING

    def __init__(self, *, consumer: str, runner: Runner, settler: Settler) -> None:
        super().__init__(consumer=consumer, runner=runner, settler=settler)
        self._workers = asyncio.Semaphore(baseline.CONSUMER_WORKERS)

    def take(self, message: Msg) -> None:
        """Handle it as soon as a worker is free."""
        self._held += 1
        self._runner.background(self._work(message), name=f"event-{self._consumer}")

    async def _work(self, message: Msg) -> None:
        try:
            async with self._workers:
                structlog.contextvars.clear_contextvars()
                with (
                    trace.continued(header(message.headers, "traceparent")),
                    structlog.contextvars.bound_contextvars(
                        consumer=self._consumer, subject=message.subject
                    ),
                    _seconds.labels(self._consumer).time(),
                ):
                    outcome = await self._settler.settle(message)
            _handled.labels(self._consumer, outcome).inc()
        except asyncio.CancelledError:
            # We are being stopped: somebody else may have it at once.
            await answer_server(message.nak())
            raise
        finally:
            self._let_go(1)


class Together(Hands):
    """One run of the handler at a time; what arrives meanwhile is the next one's, all of it.

    No timer: a lone event is handled at once, and the more of them come the more go together.
    """

    room = baseline.CONSUMER_GATHER_HAND
    at_once = baseline.CONSUMER_GATHER
    max_ack_pending = baseline.CONSUMER_GATHER_MAX_ACK_PENDING

    def __init__(self, *, consumer: str, runner: Runner, settler: Settler) -> None:
        super().__init__(consumer=consumer, runner=runner, settler=settler)
        self._waiting: deque[Msg] = deque()
        self._present: Sequence[Msg] = ()
        self._working = False

    def take(self, message: Msg) -> None:
        """Handle it with the next ones."""
        self._held += 1
        self._waiting.append(message)
        if not self._working:
            self._working = True
            self._runner.background(self._work(), name=f"events-{self._consumer}")

    async def _work(self) -> None:
        keeping = asyncio.get_running_loop().create_task(self._keep())
        try:
            while self._waiting:
                some = min(len(self._waiting), baseline.CONSUMER_GATHER)
                self._present = [self._waiting.popleft() for _ in range(some)]
                await self._handle(self._present)
        except asyncio.CancelledError:
            for message in [*self._present, *self._waiting]:
                await answer_server(message.nak())
            raise
        finally:
            keeping.cancel()
            self._present, self._working = (), False

    async def _handle(self, messages: Sequence[Msg]) -> None:
        structlog.contextvars.clear_contextvars()
        _gathered.labels(self._consumer).observe(len(messages))
        try:
            with (
                trace.continued(header(messages[0].headers, "traceparent")),
                structlog.contextvars.bound_contextvars(consumer=self._consumer),
                _seconds.labels(self._consumer).time(),
            ):
                outcomes = await self._settler.settle_together(messages)
            for outcome, count in outcomes.items():
                _handled.labels(self._consumer, outcome).inc(count)
        finally:
            self._let_go(len(messages))

    async def _keep(self) -> None:
        """Tell the server in time that what we hold is not lost, or it would come again."""
        while True:
            await asyncio.sleep(_KEEP_EVERY)
            for message in [*self._present, *self._waiting]:
                await answer_server(message.in_progress())
