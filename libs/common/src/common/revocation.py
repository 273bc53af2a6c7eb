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
from prometheus_client import Counter

from common.clock import Clock
from common.db import Database, Unavailable
from common.log import get_logger
from common.revoked_keys import MirrorAbsent, ValkeyRevocations
from common.runner import Runner
from common.tokens import LEEWAY, LONGEST_LIFE, Caller

SUBJECT: Final = "rt.auth.login_revoked"
USED: Final = "hint.auth.login_seen"
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


class Wire(Protocol):
    """The part of the bus that hears pushes and passes hints."""

    @property
    def up(self) -> bool:
        """Whether anybody would hear."""

    def tell(self, subject: str, payload: bytes) -> None:
        """Say something that may be lost."""

    def listen(self, subject: str, callback: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Call back for each message on the subject."""


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
