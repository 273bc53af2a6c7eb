"""What becomes of one message: acknowledged, refused for a while, or buried."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from common import baseline
from common.bus.dead_letters import DeadLetters, Reason
from common.bus.delivery import Delivery
from common.bus.envelope import Malformed
from common.db import Unavailable
from common.log import get_logger
from common.runner import Runner

_log = get_logger("bus")
_HOLD = (0.5, 5.0)

Handle = Callable[[Delivery], Awaitable[None]]
HandleTogether = Callable[[Sequence[Delivery]], Awaitable[None]]


class Settler:
    """Gives each message of one consumer to its handler and answers the server."""

    def __init__(
        self,
        *,
        runner: Runner,
        consumer: str,
        handle: HandleTogether,
        dead_letters: Callable[[], DeadLetters | None],
    ) -> None:
        self._runner = runner
        self._consumer = consumer
        self._handle = handle
        self._dead_letters = dead_letters

    async def settle(self, message: Msg) -> str:
        """Handle one message and answer the server; return the outcome's name."""
        deliveries = message.metadata.num_delivered
        try:
            delivery = Delivery.of(message)
            if deliveries > baseline.CONSUMER_BURY_AT:
                # Every earlier try ended without an answer: it may be what kills us.
                return await self._bury(message, "exhausted", "No try came to an end.")
            with structlog.contextvars.bound_contextvars(event_id=str(delivery.id)):
                await self._try([delivery], [message])
        except Malformed as error:
            return await self._bury(message, "malformed", str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the event goes on its way
            if self._runner.stopping:
                await answer_server(message.nak())
                return "stopped"
            _log.exception("event_failed", deliveries=deliveries)
            if deliveries >= baseline.CONSUMER_BURY_AT:
                return await self._bury(message, "exhausted", f"{type(error).__name__}: {error}")
            await answer_server(message.nak(delay=_backoff(deliveries)))
            return "failed"
        # Not awaited by the server: a lost ack means one more delivery, which changes nothing.
        await answer_server(message.ack())
        return "handled"

    async def settle_together(self, messages: Sequence[Msg]) -> Counter[str]:
        """Handle these in one go and answer the server; return how many had which outcome.

        Where that fails they are handled one by one, so that none suffers for another. Whatever
        failed before goes alone from the start: it may be what kills us.
        """
        fresh, alone = _sorted(messages)
        try:
            if fresh:
                await self._try([delivery for _, delivery in fresh], [one for one, _ in fresh])
        except Exception as error:  # noqa: BLE001 - each event tells by itself what is wrong
            _log.warning("events_failed_together", events=len(fresh), error=type(error).__name__)
            fresh, alone = [], messages
        for message, _ in fresh:
            await answer_server(message.ack())
        outcomes = Counter([await self.settle(message) for message in alone])
        outcomes["handled"] += len(fresh)
        return outcomes

    async def _try(self, deliveries: Sequence[Delivery], messages: Sequence[Msg]) -> None:
        """Run the handler; while Postgres is away keep the messages, count no failure."""
        wait = _HOLD[0]
        while True:
            try:
                async with asyncio.timeout(baseline.CONSUMER_HANDLER_TIMEOUT):
                    await self._handle(deliveries)
                return
            except Unavailable:
                letters = self._dead_letters()
                if letters is None or self._runner.stopping or await letters.reachable():
                    raise
            for message in messages:
                await answer_server(message.in_progress())
            await asyncio.sleep(wait)
            wait = min(wait * 2, _HOLD[1])

    async def _bury(self, message: Msg, reason: Reason, error: str) -> str:
        letters = self._dead_letters()
        metadata = message.metadata
        headers = dict(message.headers or {})
        if letters is None:
            _log.error("burial_impossible", reason=reason, hint="call Bus.bury_in")
            await answer_server(message.nak(delay=baseline.CONSUMER_BACKOFF[-1]))
            return "failed"
        try:
            await letters.bury(
                consumer=self._consumer,
                stream=metadata.stream,
                stream_seq=metadata.sequence.stream,
                subject=message.subject,
                event_id=Delivery.id_of(headers),
                body=message.data,
                headers=headers,
                reason=reason,
                error=error,
                deliveries=metadata.num_delivered,
            )
        except Exception:  # noqa: BLE001 - not buried, so it must come back
            _log.exception("burial_failed", reason=reason)
            await answer_server(message.nak(delay=baseline.CONSUMER_BACKOFF[-1]))
            return "failed"
        await answer_server(message.term())
        return reason


def _sorted(messages: Sequence[Msg]) -> tuple[list[tuple[Msg, Delivery]], Sequence[Msg]]:
    """Return those that can be read and were never tried, and the others."""
    fresh: list[tuple[Msg, Delivery]] = []
    others: list[Msg] = []
    for message in messages:
        with contextlib.suppress(Malformed):
            delivery = Delivery.of(message)
            if not delivery.redelivered:
                fresh.append((message, delivery))
                continue
        others.append(message)
    return fresh, others


def _backoff(deliveries: int) -> float:
    steps = baseline.CONSUMER_BACKOFF
    return steps[min(deliveries, len(steps)) - 1]


async def answer_server(answer: Awaitable[None]) -> None:
    """Send an answer if there is somebody to hear it; without it the message comes again."""
    with contextlib.suppress(NatsError, OSError, TimeoutError):
        await answer
