"""Whether a login still lives: told by push, asked again at most every 30 seconds.

Valkey answers first (`{revoked}:<login_id>`, valid only beside the sentinel `{revoked}:seed`), then
auth's own function in Postgres. With both away a login that was good within the last 30 seconds
stays good; every other is told to try again later. Nothing is accepted in silence.
"""

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import ClassVar, Final, Protocol
from uuid import UUID

import orjson
import valkey.asyncio as valkey
from prometheus_client import Counter
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from common import baseline
from common.clock import Clock
from common.db import Database, Unavailable
from common.log import get_logger
from common.runner import Runner
from common.tokens import LEEWAY, LONGEST_LIFE, Caller

SUBJECT: Final = "rt.auth.login_revoked"
USED: Final = "hint.auth.login_seen"
SENTINEL: Final = "{revoked}:seed"
GOOD_SECONDS: Final = 30.0
# Half of what is promised, so that a pass which just missed a revocation is still in time.
RECHECK_SECONDS: Final = 12.0
# No token outlives this, so neither must the memory of its revocation.
REMEMBER_SECONDS: Final = (LONGEST_LIFE + 2 * LEEWAY).total_seconds()
MOST_REMEMBERED: Final = 200_000
BATCH: Final = 500
# So many passes back a login still counts as busy: about a minute.
_PASSES: Final = 5

_SQL = "SELECT login_id FROM auth.revoked_logins_v1($1)"

log = get_logger("revocation")
checks = Counter("revocation_checks_total", "Logins looked up", ["source"])


class LoginRevoked(Exception):
    """This login was ended; sign in again."""

    code: ClassVar[str] = "login_revoked"


class MirrorAbsent(Exception):
    """Valkey is away, or up without the sentinel: an empty Valkey knows of no revocation."""


class Wire(Protocol):
    """The part of the bus that hears pushes and passes hints."""

    @property
    def up(self) -> bool:
        """Whether anybody would hear."""

    def tell(self, subject: str, payload: bytes) -> None:
        """Say something that may be lost."""

    def listen(self, subject: str, callback: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Call back for each message on the subject."""


def key_of(login_id: UUID) -> str:
    """Return the key that marks a login as revoked."""
    return f"{{revoked}}:{login_id}"


class ValkeyRevocations:
    """The mirror of revoked logins; one round trip, bounded in time, with a breaker."""

    def __init__(self, url: str, *, clock: Clock) -> None:
        # No health check: its PING would go out before the greeting of a new connection, and where
        # the server is frozen valkey-py 6.2 then connects inside connect(), for 16 s.
        pool = valkey.BlockingConnectionPool.from_url(
            url,
            max_connections=baseline.VALKEY_MAX_CONNECTIONS,
            timeout=baseline.VALKEY_POOL_TIMEOUT,
            socket_timeout=baseline.VALKEY_SOCKET_TIMEOUT,
            socket_connect_timeout=baseline.VALKEY_CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), baseline.VALKEY_READ_RETRIES),
            decode_responses=False,
        )
        self._client = valkey.Valkey(connection_pool=pool)
        self._pool = pool
        self._clock = clock
        self._failures = 0
        self._closed_until = float("-inf")

    async def revoked(self, login_ids: Sequence[UUID]) -> set[UUID]:
        """Return which of these are revoked; MirrorAbsent when that cannot be known here."""
        if self._clock.monotonic() < self._closed_until:
            raise MirrorAbsent("breaker open")
        try:
            seed, *marks = await self._client.mget([SENTINEL, *map(key_of, login_ids)])
        except (ValkeyError, OSError, TimeoutError) as error:
            self._count_failure()
            raise MirrorAbsent(type(error).__name__) from error
        self._failures = 0
        if seed is None:
            raise MirrorAbsent("not seeded")
        return {login for login, mark in zip(login_ids, marks, strict=True) if mark is not None}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._pool.disconnect()

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= baseline.VALKEY_BREAKER_FAILURES:
            self._closed_until = self._clock.monotonic() + baseline.VALKEY_BREAKER_OPEN
            self._failures = 0


class Revocations:
    """What this process knows about ended logins."""

    def __init__(
        self, *, db: Database, valkey_url: str | None, bus: Wire, runner: Runner, clock: Clock
    ) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._used: OrderedDict[UUID, int] = OrderedDict()
        self._mirror = ValkeyRevocations(valkey_url, clock=clock) if valkey_url else None
        self._revoked: OrderedDict[UUID, float] = OrderedDict()
        self._good: OrderedDict[UUID, float] = OrderedDict()
        self._callbacks: list[Callable[[UUID], None]] = []
        self._watched: list[Callable[[], Iterable[UUID]]] = []
        self._busy: deque[set[UUID]] = deque([set()], maxlen=_PASSES)
        self._asking: list[tuple[UUID, asyncio.Future[bool]]] = []
        self._runner = runner
        if self._mirror is not None:
            runner.on_stop(self._mirror.close)
        bus.listen(SUBJECT, self._hear)
        runner.every("revocation-recheck", RECHECK_SECONDS, self.recheck)

    async def check(self, caller: Caller) -> None:
        """Raise LoginRevoked when the login has ended, Unavailable when nobody can tell."""
        login = caller.login_id
        self._busy[0].add(login)
        if login in self._revoked:
            raise LoginRevoked
        good_for = self._clock.monotonic() - self._good.get(login, float("-inf"))
        if good_for >= GOOD_SECONDS and await self._is_revoked(login):
            raise LoginRevoked
        self._note_use(caller)

    def vouches_for(self, caller: Caller) -> bool:
        """Tell whether check() lets this caller pass without asking or telling anybody."""
        login = caller.login_id
        # Whoever is revoked is taken out of the good ones in the same breath.
        asked_at = self._good.get(login)
        if asked_at is None or self._clock.monotonic() - asked_at >= GOOD_SECONDS:
            return False
        self._busy[0].add(login)
        return self._used.get(login, -1) >= caller.generation or not self._bus.up

    def on_revoked(self, callback: Callable[[UUID], None]) -> None:
        """Call back, in the event loop and without waiting, for each login that ends."""
        self._callbacks.append(callback)

    def watch(self, logins: Callable[[], Iterable[UUID]]) -> None:
        """Ask again and again about the logins this returns: those with an open socket."""
        self._watched.append(logins)

    def revoke(self, login_ids: Iterable[UUID]) -> None:
        """Note ended logins and tell who waits for it; the owner calls it for its own replica."""
        until = self._clock.monotonic() + REMEMBER_SECONDS
        for login in login_ids:
            known = login in self._revoked
            self._revoked[login] = until
            self._revoked.move_to_end(login)
            self._good.pop(login, None)
            if not known:
                for callback in self._callbacks:
                    callback(login)
        while len(self._revoked) > MOST_REMEMBERED:
            self._revoked.popitem(last=False)

    async def recheck(self) -> None:
        """Ask about every watched login; one pass of the bound that holds without NATS.

        Those that called within the last minute come along: whoever calls often never waits for
        an answer of her own, and 500 in one question cost little more than one.
        """
        self._forget()
        self._busy.appendleft(set())
        # Only the newest set still grows. A batch at a time: ten thousand at once would be heard.
        sources = [*list(self._busy)[1:], *(list(source()) for source in self._watched)]
        asked: set[UUID] = set()
        logins = itertools.chain.from_iterable(sources)
        while batch := list(itertools.islice(_new_ones(logins, asked), BATCH)):
            try:
                await self._look_up(batch)
            except Unavailable:
                # "I cannot see them" is not "they are revoked": sockets stay, the next pass asks.
                log.warning("revocation_recheck_skipped", asked=len(asked))
                return

    def _note_use(self, caller: Caller) -> None:
        """Tell auth, once a generation, that its tokens arrived and are in use.

        A refresh token whose child is in use gets no second copy of it: that is how a stolen one
        is noticed.
        """
        login, generation = caller.login_id, caller.generation
        if self._used.get(login, -1) >= generation or not self._bus.up:
            return
        self._used[login] = generation
        self._used.move_to_end(login)
        while len(self._used) > MOST_REMEMBERED:
            self._used.popitem(last=False)
        self._bus.tell(USED, orjson.dumps({"login_id": str(login), "generation": generation}))

    async def _is_revoked(self, login_id: UUID) -> bool:
        """Ask about one login, together with all others of this moment."""
        loop = asyncio.get_running_loop()
        if not self._asking:
            loop.call_soon(self._ask_soon)
        answer: asyncio.Future[bool] = loop.create_future()
        self._asking.append((login_id, answer))
        return await answer

    def _ask_soon(self) -> None:
        asking, self._asking = self._asking, []
        for start in range(0, len(asking), BATCH):
            some = asking[start : start + BATCH]
            self._runner.background(self._answer(some), name="revocation-look-up")

    async def _answer(self, asking: Sequence[tuple[UUID, "asyncio.Future[bool]"]]) -> None:
        try:
            revoked = await self._look_up(list({login for login, _ in asking}))
        except BaseException as error:
            for _, answer in asking:
                if answer.done():
                    continue
                if isinstance(error, Exception):
                    answer.set_exception(error)
                else:
                    answer.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for login, answer in asking:
            if not answer.done():
                answer.set_result(login in revoked)

    async def _look_up(self, login_ids: Sequence[UUID]) -> set[UUID]:
        asked_at = self._clock.monotonic()
        revoked = await self._ask(login_ids)
        self.revoke(revoked)
        for login in login_ids:
            # A push that arrived while we asked is newer than the answer.
            if login not in revoked and login not in self._revoked:
                self._good[login] = asked_at
                self._good.move_to_end(login)
        while len(self._good) > MOST_REMEMBERED:
            self._good.popitem(last=False)
        return revoked

    async def _ask(self, login_ids: Sequence[UUID]) -> set[UUID]:
        if self._mirror is not None:
            try:
                revoked = await self._mirror.revoked(login_ids)
            except MirrorAbsent as error:
                log.info("revocation_mirror_absent", reason=str(error))
            else:
                checks.labels("valkey").inc(len(login_ids))
                return revoked
        async with self._db.connection() as connection:
            rows = await connection.fetch(_SQL, list(login_ids))
        checks.labels("postgres").inc(len(login_ids))
        return {row["login_id"] for row in rows}

    def _forget(self) -> None:
        now = self._clock.monotonic()
        while self._revoked and next(iter(self._revoked.values())) < now:
            self._revoked.popitem(last=False)
        while self._good and next(iter(self._good.values())) < now - GOOD_SECONDS:
            self._good.popitem(last=False)

    async def _hear(self, _subject: str, body: bytes) -> None:
        try:
            self.revoke([UUID(login) for login in orjson.loads(body)["login_ids"]])
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("revocation_push_malformed", bytes=len(body))


def _new_ones(logins: Iterator[UUID], known: set[UUID]) -> Iterator[UUID]:
    """Return those that are not known yet, and know them from now on."""
    for login in logins:
        if login not in known:
            known.add(login)
            yield login
