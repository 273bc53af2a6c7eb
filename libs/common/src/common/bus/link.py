"""One living NATS client: built without haste, watched, and replaced when it has gone deaf."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client, Server
from nats.errors import Error as NatsError
from prometheus_client import Counter, Gauge, Histogram

from common import baseline
from common.log import get_logger
from common.runner import Pulse, Runner

_log = get_logger("bus")
_up = Gauge("bus_up", "1 while NATS answers")
_rebuilt = Counter("bus_clients_built_total", "NATS clients that were built")
_errors = Counter("bus_client_errors_total", "Errors that the NATS client reported", ["error"])
_rtt = Histogram(
    "bus_rtt_seconds", "Round trips to NATS", buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2)
)

_BUILD_TIMEOUT = 5.0
_BUILD_WAIT = (0.2, 1.0)

Attach = Callable[[Client], Awaitable[None]]


class Link:
    """Owns the client; whoever needs subscriptions is called for each new one."""

    def __init__(self, url: str, *, name: str) -> None:
        self._servers = url.split(",")
        self._name = name
        self._client: Client | None = None
        self._attached: list[Attach] = []
        self._misses = 0
        self._pulse = Pulse()
        self._connected = asyncio.Event()
        self._tried = asyncio.Event()
        self._refusals = 0
        self.connections = 0

    @property
    def up(self) -> bool:
        """Whether NATS answers, as far as we know."""
        client = self._client
        return client is not None and client.is_connected and self._misses == 0

    @property
    def client(self) -> Client | None:
        """The present client, if there is one; it may be reconnecting."""
        return self._client

    def start(self, runner: Runner) -> None:
        """Keep a client alive for as long as the process lives."""
        runner.spawn("bus-link", self._keep)
        # Whoever waits for NATS then looks whether to go on.
        runner.on_stopping(self._connected.set)

    async def attach(self, attach: Attach) -> None:
        """Call `attach` with every client from now on, the present one included."""
        self._attached.append(attach)
        if self._client is not None:
            await self._attach_one(self._client, attach)

    async def until_up(self, seconds: float) -> bool:
        """Wait at most `seconds` for NATS; return whether it answers."""
        if not self.up:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._connected.wait()
        return self.up

    async def until_tried(self, seconds: float) -> None:
        """Wait at most `seconds` until NATS has answered, or each of its servers refused us."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    async def close(self) -> None:
        """Let the subscriptions finish, then close; close anyway when NATS is away."""
        client, self._client = self._client, None
        self._note()
        if client is None or client.is_closed:
            return
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(baseline.NATS_DRAIN_TIMEOUT):
                await client.drain()
        await _abandon(client)

    async def _keep(self) -> None:
        while True:
            if self._client is None or self._client.is_closed:
                await self._replace()
            await self._pulse.wait(baseline.NATS_WATCHDOG_INTERVAL)
            await self._check()

    async def _check(self) -> None:
        """Ask for a round trip: the one question that a deaf client cannot answer by itself."""
        client = self._client
        if client is None or client.is_closed:
            return
        try:
            _rtt.observe(await client.rtt(timeout=baseline.NATS_WATCHDOG_RTT))
        except (NatsError, OSError, TimeoutError, RuntimeError, AttributeError):
            self._misses += 1
            if self._misses >= baseline.NATS_WATCHDOG_MISSES:
                _log.warning("bus_deaf", misses=self._misses)
                await self._replace()
        else:
            self._misses = 0
        self._note()

    async def _replace(self) -> None:
        old, self._client = self._client, None
        self._note()
        if old is not None:
            # It goes first: still in its queue groups, it would swallow messages.
            await _abandon(old)
        self._client = await self._build()
        self._misses = 0
        for attach in list(self._attached):
            await self._attach_one(self._client, attach)
        self._note()
        self._tried.set()

    async def _build(self) -> Client:
        said = False
        while True:
            client = Client()
            try:
                async with asyncio.timeout(_BUILD_TIMEOUT):
                    await client.connect(**self._options())
            except (NatsError, OSError, TimeoutError) as error:
                if not said:
                    _log.warning("bus_awaited", error=f"{type(error).__name__}: {error}")
                    said = True
                await _abandon(client)
            except BaseException:
                await _abandon(client)
                raise
            else:
                _rebuilt.inc()
                _log.info("bus_connected", server=_address(client))
                return client
            await asyncio.sleep(random.uniform(*_BUILD_WAIT))

    def _options(self) -> dict[str, Any]:
        return {
            "servers": self._servers,
            "name": self._name,
            "max_reconnect_attempts": baseline.NATS_MAX_RECONNECT_ATTEMPTS,
            "reconnect_to_server_handler": _choose,
            "ping_interval": baseline.NATS_PING_INTERVAL,
            "max_outstanding_pings": baseline.NATS_MAX_OUTSTANDING_PINGS,
            "connect_timeout": baseline.NATS_CONNECT_TIMEOUT,
            "drain_timeout": baseline.NATS_DRAIN_TIMEOUT,
            "pending_size": baseline.NATS_PENDING_SIZE,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
        }

    # The client runs these four inside its read and reconnect tasks, which die of an exception:
    # they only set flags and log, and the wrapper below holds even against those failing.

    async def _on_error(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            self._refusals += 1
            if self._refusals >= len(self._servers):
                self._tried.set()
            _errors.labels(type(error).__name__).inc()
            _log.debug("bus_client_error", error=f"{type(error).__name__}: {error}")

    async def _on_disconnected(self) -> None:
        with contextlib.suppress(Exception):
            self._note()
            if self._client is not None:
                _log.warning("bus_disconnected")

    async def _on_reconnected(self) -> None:
        with contextlib.suppress(Exception):
            self._misses = 0
            self._note()
            _log.info("bus_reconnected")

    async def _on_closed(self) -> None:
        with contextlib.suppress(Exception):
            self._note()
            self._pulse.now()

    def _note(self) -> None:
        up = self.up
        if up and not self._connected.is_set():
            self.connections += 1
            self._connected.set()
        elif not up:
            self._connected.clear()
        _up.set(up)

    async def _attach_one(self, client: Client, attach: Attach) -> None:
        try:
            await attach(client)
        except (NatsError, OSError, TimeoutError) as error:
            # The client fell while being dressed; closing it makes the watchdog build another.
            _log.warning("bus_attach_failed", error=f"{type(error).__name__}: {error}")
            await _abandon(client)


def _choose(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
    return random.choice(servers), random.uniform(*baseline.NATS_RECONNECT_WAIT)


async def _abandon(client: Client) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await client.close()
    _end_what_is_left(client)


def _end_what_is_left(client: Client) -> None:
    """End what a close that was cut leaves behind; the client has no public way.

    A reset that meets bytes not yet sent ends the close half way: the tasks of the subscriptions
    would wait for ever, and the socket stay open until it is collected.
    """
    for subscription in client._subs.values():  # noqa: SLF001
        subscription._stop_processing()  # noqa: SLF001
    if (transport := client._transport) is not None:  # noqa: SLF001
        transport.close()


def _address(client: Client) -> str:
    url = client.connected_url
    return f"{url.hostname}:{url.port}" if url else ""
