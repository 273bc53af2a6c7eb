"""Durable consumers: pull, handle, acknowledge after the commit, bury what never works.

Messages arrive in an inbox of our own; whatever arrives is handled, whichever request asked for
it. So a request whose answer comes late costs nothing, where nats-py's fetch() would stall.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Gauge

from common import baseline
from common.bus.dead_letters import DeadLetters
from common.bus.delivery import Delivery
from common.bus.envelope import header
from common.bus.hands import Hands
from common.bus.link import Link
from common.bus.settle import answer_server
from common.bus.streams import ensure_stream
from common.log import get_logger
from common.runner import Runner

_log = get_logger("bus")
_pending = Gauge("jetstream_pending", "Events not yet delivered", ["stream", "consumer"])

_QUIET = ("404", "408")
_GRACE = 1.0
_MISSES = 3
_ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"


class _Refused(Exception):
    """The server answered a request for messages with an error."""


class Consumer:
    """One durable consumer of one stream, shared by the replicas of a service."""

    def __init__(
        self,
        *,
        link: Link,
        runner: Runner,
        stream: str,
        durable: str,
        subjects: list[str],
        hands: Hands,
        dead_letters: Callable[[], DeadLetters | None],
    ) -> None:
        self.stream = stream
        self.durable = durable
        self._link = link
        self._runner = runner
        self._subjects = subjects
        self._hands = hands
        self._dead_letters = dead_letters
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._ensured = False
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()

    @property
    def advisory(self) -> str:
        """Where the server says that it gave up on one of our messages."""
        return f"{_ADVISORY}.{self.stream}.{self.durable}"

    def config(self) -> ConsumerConfig:
        """Return what the server is asked to keep for us."""
        return ConsumerConfig(
            durable_name=self.durable,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=baseline.CONSUMER_ACK_WAIT,
            max_deliver=baseline.CONSUMER_MAX_DELIVER,
            max_ack_pending=self._hands.max_ack_pending,
            filter_subjects=self._subjects,
        )

    async def attach(self, client: Client) -> None:
        """Take a new inbox on this client."""
        inbox = client.new_inbox()
        self._subscription = await client.subscribe(inbox, cb=self._put)
        self._inbox = inbox
        self._ensured = False
        # Whoever waits for an answer to the old inbox waits in vain.
        self._wake()

    async def run(self) -> None:
        """Pull and handle until the process stops."""
        self._runner.on_stopping(self._wake)
        misses = 0
        while not self._runner.stopping:
            if not await self._link.until_up(1.0) or not self._inbox:
                continue
            try:
                if not self._ensured:
                    await self._ensure()
                misses = 0 if await self._pull() else misses + 1
            except (_Refused, NatsError, OSError, TimeoutError) as error:
                _log.warning(
                    "consumer_waits",
                    consumer=self.durable,
                    error=f"{type(error).__name__}: {error}",
                )
                self._ensured = False
                await asyncio.sleep(0.5)
            if misses >= _MISSES:
                _log.warning("consumer_silent", consumer=self.durable)
                self._ensured, misses = False, 0
        await self._leave()

    async def measure(self) -> None:
        """Note how many events wait for us."""
        if self._ensured and self._link.up and (client := self._link.client) is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                info = await client.jetstream().consumer_info(self.stream, self.durable, timeout=1)
                _pending.labels(self.stream, self.durable).set(info.num_pending or 0)

    async def given_up(self, advisory: bytes) -> None:
        """Bury a message that the server will deliver no more, because nobody came to the end."""
        sequence = int(json.loads(advisory)["stream_seq"])
        client = self._link.client
        letters = self._dead_letters()
        if client is None or letters is None:
            return
        raw = await client.jetstream().get_msg(self.stream, sequence)
        headers = dict(raw.headers or {})
        await letters.bury(
            consumer=self.durable,
            stream=self.stream,
            stream_seq=sequence,
            subject=raw.subject or "",
            event_id=Delivery.id_of(headers),
            body=raw.data or b"",
            headers=headers,
            reason="exhausted",
            error="The server stopped delivering it.",
            deliveries=baseline.CONSUMER_MAX_DELIVER,
        )

    async def _leave(self) -> None:
        """Ask for nothing any more, and give back what nobody took in hand.

        While our inbox is open the server would send us again whatever we refuse.
        """
        if self._subscription is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._subscription.drain()
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and _status(message) is None:
                await answer_server(message.nak())

    def _wake(self) -> None:
        self._arrived.put_nowait(None)

    async def _put(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def _ensure(self) -> None:
        client = self._link.client
        if client is None:
            raise TimeoutError
        js = client.jetstream()
        await ensure_stream(js, self.stream)
        await js.add_consumer(self.stream, self.config())
        self._ensured = True

    async def _pull(self) -> bool:
        """Ask for as many as we can take; return whether the server said anything."""
        free = await self._hands.free()
        client = self._link.client
        if free == 0 or client is None:
            return True
        expires = baseline.CONSUMER_FETCH_TIMEOUT
        request = {"batch": free, "expires": int(expires * 1_000_000_000)}
        await client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}",
            json.dumps(request).encode(),
            reply=self._inbox,
        )
        heard = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(expires + _GRACE):
                while free > 0 and not self._runner.stopping:
                    message = await self._arrived.get()
                    heard = True
                    if message is None:
                        break
                    if (status := _status(message)) is None:
                        self._hands.take(message)
                        free -= 1
                    elif not self._goes_on(status, message):
                        break
        return heard

    def _goes_on(self, status: str, message: Msg) -> bool:
        """Note what a status says; return whether the request still stands."""
        if status == "100":
            return True
        if status not in _QUIET:
            # The consumer is gone, moved or not yet back: look after it before asking again.
            raise _Refused(f"{status} {header(message.headers, 'Description')}".strip())
        return False


def _status(message: Msg) -> str | None:
    if message.headers and not message.data:
        return message.headers.get("Status")
    return None
