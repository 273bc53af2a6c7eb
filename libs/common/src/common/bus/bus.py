"""The bus as services see it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError, NotFoundError
from pydantic import BaseModel

from common import baseline
from common.bus import commands
from common.bus.consume import Consumer
from common.bus.dead_letters import DeadLetters
from common.bus.delivery import Delivery
from common.bus.ear import Ear, Hear
from common.bus.errors import BusUnavailable
from common.bus.hands import Hands, Singly, Together
from common.bus.link import Attach, Link
from common.bus.mouth import Mouth
from common.bus.settle import Handle, HandleTogether, Settler
from common.bus.streams import ensure_stream, stream_of
from common.db import Database
from common.runner import Runner

_LAG_SECONDS = 10.0


@dataclass(frozen=True)
class PubAck:
    """The stream's promise that it holds an event."""

    stream: str
    seq: int
    duplicate: bool


class Bus:
    """Tells other processes, and hears them; NATS may come and go underneath."""

    def __init__(self, link: Link, runner: Runner) -> None:
        self._link = link
        self._runner = runner
        self._mouth = Mouth(link)
        self._letters: DeadLetters | None = None

    @classmethod
    async def connect(cls, url: str, *, name: str, runner: Runner) -> Self:
        """Start connecting and return at once: a process starts and serves without NATS."""
        link = Link(url, name=name)
        bus = cls(link, runner)
        bus._mouth.start(runner)
        link.start(runner)
        runner.on_stop(bus.close)
        # Where NATS is there, the first caller finds it there; where it is not, nobody waits.
        await link.until_tried(0.25)
        return bus

    @property
    def up(self) -> bool:
        """Whether NATS answers, as far as we know."""
        return self._link.up

    async def until_up(self, seconds: float) -> bool:
        """Wait at most `seconds` for NATS; return whether it answers. Nobody's request does."""
        return await self._link.until_up(seconds)

    @property
    def connections(self) -> int:
        """How often NATS was found again; whoever caches something about it compares this."""
        return self._link.connections

    def bury_in(self, db: Database) -> None:
        """Keep what cannot be handled in this database's dead_letters."""
        self._letters = DeadLetters(db)

    def tell(
        self, subject: str, payload: bytes = b"", *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Say something that may be lost; never raises, never waits."""
        self._mouth.tell(subject, payload, headers)

    def listen(
        self,
        subject: str,
        callback: Callable[[str, bytes], Awaitable[None]],
        *,
        queue: str | None = None,
    ) -> None:
        """Hear a core subject, in order, for as long as the process lives."""

        async def hear(message: Msg) -> None:
            await callback(message.subject, message.data)

        self._hear(subject, hear, queue=queue)

    def listen_with_headers(
        self,
        subject: str,
        callback: Callable[[str, bytes, Mapping[str, str]], Awaitable[None]],
    ) -> None:
        """Hear a core subject together with each message's headers."""

        async def hear(message: Msg) -> None:
            await callback(message.subject, message.data, message.headers or {})

        self._hear(subject, hear)

    def consume(self, *, stream: str, durable: str, subjects: list[str], handler: Handle) -> None:
        """Handle durable events: acknowledged when `handler` returns, repeated when it raises.

        Malformed is buried at once, any other error after five deliveries.
        """

        async def handle(deliveries: Sequence[Delivery]) -> None:
            for delivery in deliveries:
                await handler(delivery)

        hands = Singly(
            consumer=durable, runner=self._runner, settler=self._settler(durable, handle)
        )
        self._consume(stream, durable, subjects, hands)

    def gather(
        self, *, stream: str, durable: str, subjects: list[str], handler: HandleTogether
    ) -> None:
        """Handle durable events together, as many as came while the last run was under way.

        For a handler that looks at the present state of things, to whom order and repeats mean
        nothing. Where it raises they are handled one by one, and it is as with `consume`.
        """
        settler = self._settler(durable, handler)
        hands = Together(consumer=durable, runner=self._runner, settler=settler)
        self._consume(stream, durable, subjects, hands)

    def serve(self, subject: str, *, queue: str, handler: commands.Serve) -> None:
        """Answer commands in the owner's queue group; an error's `code` travels back."""
        hear = commands.server(subject, handler)
        self._hear(subject, hear, queue=queue, workers=commands.WORKERS)

    async def request(
        self,
        subject: str,
        body: BaseModel,
        *,
        timeout: float,  # noqa: ASYNC109 - it travels with the command
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send a command and return the answer; BusUnavailable when there is none in time."""
        return await commands.request(self._link, subject, body, timeout=timeout, headers=headers)

    async def publish_event(
        self,
        *,
        id: UUID,  # noqa: A002 - CloudEvents' word
        subject: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> PubAck:
        """Put an event into its stream; after an error it may be there all the same."""
        sent = {**headers, "Nats-Msg-Id": headers.get("Nats-Msg-Id", str(id))}
        try:
            async with asyncio.timeout(baseline.PUBLISH_TIMEOUT + 0.5):
                try:
                    return await self._publish(subject, body, sent)
                except NoStreamResponseError:
                    await ensure_stream(self._client().jetstream(), stream_of(subject))
                    return await self._publish(subject, body, sent)
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"{subject}: {type(error).__name__}: {error}") from error

    async def last_seq(self, stream: str) -> int:
        """Return the stream's last sequence; 0 when the stream is gone."""
        try:
            async with asyncio.timeout(baseline.PUBLISH_TIMEOUT):
                info = await self._client().jetstream().stream_info(stream)
        except NotFoundError:
            return 0
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"{stream}: {type(error).__name__}") from error
        return info.state.last_seq

    async def close(self) -> None:
        """Say what is waiting, let the subscriptions finish, and close."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._mouth.flush()
        await self._link.close()

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> PubAck:
        js = self._client().jetstream()
        ack = await js.publish(
            subject,
            body,
            timeout=baseline.PUBLISH_TIMEOUT,
            stream=stream_of(subject),
            headers=headers,
        )
        return PubAck(ack.stream, ack.seq, bool(ack.duplicate))

    def _client(self) -> Client:
        client = self._link.client
        if client is None or not client.is_connected:
            raise BusUnavailable("NATS is away.")
        return client

    def _hear(
        self, subject: str, hear: Hear, *, queue: str | None = None, workers: int = 1
    ) -> None:
        ear = Ear(subject, hear, queue=queue, workers=workers)
        ear.start(self._runner)
        self._attach(ear.attach)

    def _settler(self, durable: str, handle: HandleTogether) -> Settler:
        return Settler(
            runner=self._runner,
            consumer=durable,
            handle=handle,
            dead_letters=lambda: self._letters,
        )

    def _consume(self, stream: str, durable: str, subjects: list[str], hands: Hands) -> None:
        consumer = Consumer(
            link=self._link,
            runner=self._runner,
            stream=stream,
            durable=durable,
            subjects=subjects,
            hands=hands,
            dead_letters=lambda: self._letters,
        )

        async def given_up(message: Msg) -> None:
            await consumer.given_up(message.data)

        self._attach(consumer.attach)
        self._hear(consumer.advisory, given_up, queue=durable)
        self._runner.spawn(f"consumer-{durable}", consumer.run, patient=True)
        self._runner.every(f"lag-{durable}", _LAG_SECONDS, consumer.measure)

    def _attach(self, attach: Attach) -> None:
        self._runner.background(self._link.attach(attach), name="bus-attach")
