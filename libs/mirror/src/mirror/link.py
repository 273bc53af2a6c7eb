"""The way to Valkey: connects when asked, learns its clock, and stops asking when it is away."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from libvalkey import ReplyError, pack_command
from prometheus_client import Counter, Gauge

from common import baseline
from common.clock import Clock
from common.log import get_logger
from mirror import keys, scripts
from mirror.errors import MirrorUnavailable
from mirror.meaning import REPLICA, UnknownScript, holds_less, meaning
from mirror.scripts import Script
from mirror.wire import Argument, Reply, Wire, WireLost

_log = get_logger("mirror")
_failures = Counter("mirror_link_failures_total", "Broken or late exchanges with Valkey")
_up = Gauge("mirror_link_up", "1 while Valkey answers this replica")
# A primary that was made a replica keeps its process and our connection: only its role tells. One
# that takes no writes (full, not able to save, without its replicas) answers questions all the
# same: only a write tells, here one that writes nothing because its key never exists.
_LOOK: Final = (
    pack_command((b"TIME",))
    + pack_command((b"INFO", b"replication"))
    + pack_command((b"SET", keys.NOTHING, b"", b"XX"))
)
_LOOKS: Final = 3
# Shorter outages cost nobody a beat that counts; after a longer one what was missed comes first.
OUTAGE_SECONDS: Final = 2.0
_TLS_SCHEMES: Final = frozenset({"valkeys", "rediss"})


@dataclass(frozen=True, slots=True)
class Server:
    """Which server process is at the other end, and how far its clock is from ours."""

    run_id: str
    offset_ms: float
    """Add it to our monotonic clock (in ms) to get Valkey's time, or up to one round trip less."""
    latest_ms: float
    """The same, or up to one round trip more."""
    found_ms: int | None = None
    """When it was found again after the last outage, on its own clock; None: there was none."""


class Link:
    """One shared connection, made anew when it breaks, behind a breaker.

    After three failures in a row nobody tries for 2 s; then one failure closes the door again.
    Every command given to it must be safe to run twice: one that found its connection broken is
    sent once more. All trouble becomes MirrorUnavailable.
    """

    def __init__(self, url: str | None, *, clock: Clock) -> None:
        parts = urlsplit(url or "")
        self._configured = url is not None
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 6379
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._tls = ssl.create_default_context() if parts.scheme in _TLS_SCHEMES else None
        self._clock = clock
        self._wire: Wire | None = None
        self._server: Server | None = None
        self._connecting: asyncio.Task[tuple[Wire, Server]] | None = None
        self._failed = 0
        self._why = MirrorUnavailable("the connection was ended")
        """What was wrong last, for those who are not let through to find out themselves."""
        self._closed_until = 0.0
        self._ended = False
        self._away_since: float | None = None
        self._found_ms: int | None = None
        self.connections = 0
        """How often Valkey was found (again)."""

    @property
    def server(self) -> Server | None:
        """Return the server behind the living connection, None while there is none."""
        return self._server

    async def command(self, *command: Argument) -> Reply:
        """Send one command and return its reply; raise MirrorUnavailable."""
        wire, _ = await self._connected()
        return await self._exchange(wire, pack_command(command), 0)

    async def run(self, script: Script, args: Sequence[Argument]) -> tuple[Reply, Server]:
        """Run a script; return its reply and the server process that gave it."""
        rest = (len(script.keys), *script.keys, *args)
        command = pack_command((b"EVALSHA", script.digest, *rest))
        try:
            return await self.ask(command, 0)
        except UnknownScript:
            return await self.ask(pack_command((b"EVAL", script.text, *rest)), 0)

    async def ask(self, commands: bytes, replies: int) -> tuple[Reply, Server]:
        """Send packed commands; return the list of so many replies (0: the one), and who gave them.

        They leave in one write and Valkey runs them one after the other.
        """
        wire, server = self._wire, self._server
        if wire is not None and server is not None:
            try:
                reply = await wire.send_packed(commands, replies)
            except WireLost as error:
                if wire.lost == _LATE:
                    raise MirrorUnavailable(str(error)) from error
                # It had died since its last use: nothing was wrong with the question.
            except ReplyError as error:
                raise self._meaning(error, wire) from error
            else:
                self._failed = 0
                return reply, server
        wire, server = await self._connected()
        return await self._exchange(wire, commands, replies), server

    async def learn_clock(self) -> Server:
        """Ask for Valkey's time and role once more, and whether it takes writes.

        Connects when there is no connection.
        """
        wire, server = await self._connected()
        sent = self._clock.monotonic()
        time, info, _ = await self._exchange(wire, _LOOK, _LOOKS)
        if not _leads(info):
            follows = MirrorUnavailable(REPLICA, code="replica")
            self._drop(wire, follows)
            raise follows
        if self._wire is wire:
            earliest, latest = _offsets(time, sent, self._clock.monotonic())
            self._server = replace(server, offset_ms=earliest, latest_ms=latest)
        return self._server or server

    def now_ms(self, monotonic: float) -> int | None:
        """Return a moment of our monotonic clock as ms on Valkey's clock, never later than true.

        None while Valkey's clock is unknown.
        """
        return None if self._server is None else int(monotonic * 1000 + self._server.offset_ms)

    async def close(self) -> None:
        """End the connection."""
        self._ended = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._wire is not None:
            self._wire.abort("closed by us")

    async def _exchange(self, wire: Wire, commands: bytes, replies: int) -> Reply:
        try:
            reply = await wire.send_packed(commands, replies)
        except WireLost as error:
            raise MirrorUnavailable(str(error)) from error
        except ReplyError as error:
            raise self._meaning(error, wire) from error
        self._failed = 0
        return reply

    def _meaning(self, error: ReplyError, wire: Wire) -> Exception:
        meant = meaning(str(error))
        if isinstance(meant, MirrorUnavailable) and holds_less(meant):
            # Its address may lead to the new primary by now, or it may have room again: only a
            # new connection, and what that may write, finds out.
            self._drop(wire, meant)
        return meant

    def _drop(self, wire: Wire, why: MirrorUnavailable) -> None:
        wire.abort(why.reason)
        self._why = why

    async def _connected(self) -> tuple[Wire, Server]:
        if self._wire is not None and self._server is not None:
            return self._wire, self._server
        if not self._configured:
            raise MirrorUnavailable("no Valkey is configured", code="unset")
        if self._ended or self._clock.monotonic() < self._closed_until:
            raise MirrorUnavailable(self._why.reason, code=self._why.code)
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._tried)
        try:
            return await asyncio.shield(self._connecting)
        except (OSError, TimeoutError, WireLost) as error:
            raise _why(error) from error

    async def _connect(self) -> tuple[Wire, Server]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(baseline.VALKEY_CONNECT_TIMEOUT):
            _, wire = await loop.create_connection(
                lambda: Wire(timeout=baseline.VALKEY_SOCKET_TIMEOUT, on_lost=self._lost),
                self._host,
                self._port,
                ssl=self._tls,
            )
        try:
            server = await self._greet(wire)
        except BaseException as error:
            wire.abort("the greeting failed")
            if isinstance(error, ReplyError):
                raise meaning(str(error)) from error
            raise
        self._wire, self._server = wire, server
        self._away_since = None
        self.connections += 1
        _up.set(1)
        _log.info("mirror_connected", run_id=server.run_id)
        return wire, server

    async def _greet(self, wire: Wire) -> Server:
        """Log in, load the scripts, learn who is there and what time it is: one round trip."""
        if self._password is not None:
            names = (self._user, self._password) if self._user else (self._password,)
            await wire.send((b"AUTH", *names))
        loads = [wire.send((b"SCRIPT", b"LOAD", script.text)) for script in scripts.ALL]
        sent = self._clock.monotonic()
        info, look = wire.send((b"INFO", b"server")), wire.send_packed(_LOOK, _LOOKS)
        await asyncio.gather(look, info, *loads)
        received = self._clock.monotonic()
        time, replication, _ = look.result()
        if not _leads(replication):
            raise MirrorUnavailable(REPLICA, code="replica")
        earliest, latest = _offsets(time, sent, received)
        if self._was_away(received):
            self._found_ms = int(received * 1000 + earliest)
        return Server(_run_id(info.result()), earliest, latest, self._found_ms)

    def _was_away(self, now: float) -> bool:
        return self._away_since is not None and now - self._away_since > OUTAGE_SECONDS

    def _tried(self, task: asyncio.Task[tuple[Wire, Server]]) -> None:
        self._connecting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._count_failure(_why(error))

    def _lost(self, wire: Wire, reason: str) -> None:
        if wire is not self._wire:
            return
        self._wire = self._server = None
        if not self._ended:
            self._count_failure(MirrorUnavailable(reason))

    def _count_failure(self, why: MirrorUnavailable) -> None:
        self._why = why
        _failures.inc()
        _up.set(0)
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
        self._failed += 1
        if self._failed >= baseline.VALKEY_BREAKER_FAILURES:
            self._closed_until = self._clock.monotonic() + baseline.VALKEY_BREAKER_OPEN
        if self._failed in {1, baseline.VALKEY_BREAKER_FAILURES}:
            _log.warning("mirror_away", reason=why.reason, failures=self._failed)


_LATE: Final = "no reply in time"


def _run_id(info: bytes) -> str:
    for line in info.decode().splitlines():
        if line.startswith("run_id:"):
            return line.removeprefix("run_id:")
    raise WireLost("the server does not say who it is")


def _leads(info: bytes) -> bool:
    return b"role:master" in info.splitlines()


def _why(error: BaseException) -> MirrorUnavailable:
    if isinstance(error, MirrorUnavailable):
        return error
    return MirrorUnavailable(f"{type(error).__name__}: {error}")


def _offsets(time: Sequence[bytes], sent: float, received: float) -> tuple[float, float]:
    """Return Valkey's time minus ours, in ms, at least and at most: one round trip apart.

    With the first a beat may look older by that, and never younger; so with the second.
    """
    at = int(time[0]) * 1000 + int(time[1]) / 1000
    return at - received * 1000, at - sent * 1000
