"""Revocation: pushed, asked again, never accepted in silence, never invented."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest
import valkey.asyncio as valkey_client

from common import baseline, revocation
from common.db import Unavailable
from common.ids import new_id
from common.revocation import LoginRevoked, Revocations
from common.revoked_keys import SENTINEL, MirrorAbsent, ValkeyRevocations, key_of
from common.runner import Runner
from common.testing import FakeClock
from common.tokens import Caller
from temani.ports import free_port

pytestmark = pytest.mark.req("AU-08")


class FakeBus:
    """A bus that hears what the test says."""

    def __init__(self) -> None:
        self.callback: Callable[[str, bytes], Awaitable[None]] | None = None
        self.up = True
        self.told: list[tuple[str, bytes]] = []

    def tell(self, subject: str, payload: bytes) -> None:
        """Note what was said."""
        self.told.append((subject, payload))

    def listen(self, subject: str, callback: Callable[[str, bytes], Awaitable[None]]) -> None:
        """Note the listener."""
        assert subject == revocation.SUBJECT
        self.callback = callback

    async def push(self, body: bytes) -> None:
        """Deliver a push."""
        assert self.callback is not None
        await self.callback(revocation.SUBJECT, body)


class FakeDatabase:
    """Auth's published function."""

    def __init__(self) -> None:
        self.revoked: set[UUID] = set()
        self.away = False
        self.asked = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["FakeDatabase"]:
        """Hand out itself."""
        if self.away:
            raise Unavailable
        yield self

    async def fetch(self, sql: str, logins: Iterable[UUID]) -> list[dict[str, Any]]:
        """Answer like auth.revoked_logins_v1."""
        assert "auth.revoked_logins_v1" in sql
        self.asked += 1
        return [{"login_id": login} for login in logins if login in self.revoked]


class Stage:
    """Revocations with everything around them."""

    def __init__(self, runner: Runner, valkey_url: str | None = None) -> None:
        self.clock = FakeClock()
        self.db = FakeDatabase()
        self.bus = FakeBus()
        self.revocations = Revocations(
            db=self.db,  # type: ignore[arg-type]  # the one method that is used
            valkey_url=valkey_url,
            bus=self.bus,
            runner=runner,
            clock=self.clock,
        )

    def caller(self) -> Caller:
        """Return somebody with a new login."""
        return Caller(
            user_id=new_id(),
            role="mitra",
            login_id=new_id(),
            audience="app",
            expires_at=self.clock.now(),
            generation=1,
        )


@pytest.fixture
async def stage(still: Runner) -> Stage:
    """Without Valkey."""
    return Stage(still)


async def test_a_push_ends_a_login_at_once(stage: Stage) -> None:
    """A login that was good a moment ago is refused right after the push, and sockets are told."""
    caller, ended = stage.caller(), []
    stage.revocations.on_revoked(ended.append)
    await stage.revocations.check(caller)
    await stage.bus.push(orjson.dumps({"login_ids": [str(caller.login_id)]}))

    with pytest.raises(LoginRevoked):
        await stage.revocations.check(caller)
    assert [caller.login_id] == ended


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"login_ids":["x"]}', b'{"login_ids":5}'])
async def test_a_malformed_push_harms_nothing(stage: Stage, body: bytes) -> None:
    """Garbage on the subject is logged and ignored."""
    await stage.bus.push(body)
    await stage.revocations.check(stage.caller())


@pytest.mark.req("AU-06")
async def test_use_of_a_generation_is_told_once(stage: Stage) -> None:
    """Auth learns that a token arrived: once a generation, and never of a dead login."""
    caller = stage.caller()
    stage.bus.up = False
    await stage.revocations.check(caller)
    assert stage.bus.told == []
    stage.bus.up = True
    for generation in (1, 1, 0, 2, 2):
        await stage.revocations.check(dataclasses.replace(caller, generation=generation))
    stage.revocations.revoke([caller.login_id])
    with pytest.raises(LoginRevoked):
        await stage.revocations.check(dataclasses.replace(caller, generation=3))

    assert [
        (revocation.USED, {"login_id": str(caller.login_id), "generation": generation})
        for generation in (1, 2)
    ] == [(subject, orjson.loads(body)) for subject, body in stage.bus.told]


async def test_a_push_is_told_once(stage: Stage) -> None:
    """The same revocation heard twice closes sockets once."""
    ended: list[UUID] = []
    stage.revocations.on_revoked(ended.append)
    login = new_id()
    stage.revocations.revoke([login])
    stage.revocations.revoke([login])

    assert [login] == ended


async def test_without_a_push_it_holds_for_thirty_seconds(stage: Stage) -> None:
    """NATS cut: a good verdict lives 30 s, then the truth is asked again."""
    caller = stage.caller()
    await stage.revocations.check(caller)
    stage.db.revoked.add(caller.login_id)
    stage.clock.advance(29)
    await stage.revocations.check(caller)
    stage.clock.advance(2)

    with pytest.raises(LoginRevoked):
        await stage.revocations.check(caller)


async def test_with_everything_away_only_the_recent_stay(stage: Stage) -> None:
    """Valkey and Postgres away: a login seen good within 30 s passes, every other is 503."""
    known, unknown = stage.caller(), stage.caller()
    await stage.revocations.check(known)
    stage.db.away = True
    stage.clock.advance(20)
    await stage.revocations.check(known)

    with pytest.raises(Unavailable):
        await stage.revocations.check(unknown)
    stage.clock.advance(11)
    with pytest.raises(Unavailable):
        await stage.revocations.check(known)


async def test_open_sockets_are_asked_about(stage: Stage) -> None:
    """The batch pass finds a watched login that ended without a push, in one question."""
    logins, ended = [new_id() for _ in range(3)], []
    stage.revocations.watch(lambda: logins)
    stage.revocations.on_revoked(ended.append)
    stage.db.revoked.add(logins[1])
    asked = stage.db.asked
    await stage.revocations.recheck()

    assert ([logins[1]], asked + 1) == (ended, stage.db.asked)


async def test_what_cannot_be_seen_is_not_ended(stage: Stage) -> None:
    """With the truth away the batch pass ends nobody."""
    ended: list[UUID] = []
    stage.revocations.watch(lambda: [new_id()])
    stage.revocations.on_revoked(ended.append)
    stage.db.away = True
    await stage.revocations.recheck()

    assert ended == []


async def test_whoever_calls_often_is_asked_about_beside_the_others(stage: Stage) -> None:
    """A login in use is asked about in the pass, so none of its calls waits for an answer."""
    caller = stage.caller()
    await stage.revocations.check(caller)
    stage.clock.advance(20)
    await stage.revocations.recheck()
    stage.clock.advance(20)
    stage.db.away = True

    assert stage.revocations.vouches_for(caller)
    stage.clock.advance(10)
    assert not stage.revocations.vouches_for(caller)


async def test_many_are_asked_about_batch_by_batch(stage: Stage) -> None:
    """A pass asks about each login once, five hundred at a time, wherever it is watched."""
    logins = [new_id() for _ in range(1200)]
    ended: list[UUID] = []
    stage.revocations.watch(lambda: logins)
    stage.revocations.watch(lambda: logins[:700])
    stage.revocations.on_revoked(ended.append)
    stage.db.revoked = {logins[0], logins[-1]}
    await stage.revocations.recheck()

    assert stage.db.asked == 3
    assert ended == [logins[0], logins[-1]]


async def test_a_crowd_asks_once(stage: Stage) -> None:
    """Whoever comes at the same moment is asked about together; each gets her own answer."""
    callers = [stage.caller() for _ in range(50)]
    stage.db.revoked = {callers[7].login_id}
    answers = await asyncio.gather(
        *(stage.revocations.check(caller) for caller in callers), return_exceptions=True
    )

    assert stage.db.asked == 1
    assert [answer for answer in answers if answer is not None] == [answers[7]]
    assert isinstance(answers[7], LoginRevoked)


async def test_a_crowd_that_cannot_be_asked_about_is_told_so(stage: Stage) -> None:
    """Nobody of a crowd waits for ever: all are told to try again, also beside one who left."""
    stage.db.away = True
    waiting = [asyncio.ensure_future(stage.revocations.check(stage.caller())) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        Unavailable,
        asyncio.CancelledError,
        Unavailable,
    ]


async def test_nobody_vouches_for_a_revoked_login(stage: Stage) -> None:
    """A login that has ended is not known to be good, however lately it was asked about."""
    caller = stage.caller()
    await stage.revocations.check(caller)
    known = stage.revocations.vouches_for(caller)
    stage.revocations.revoke([caller.login_id])

    assert (known, stage.revocations.vouches_for(caller)) == (True, False)


async def test_memory_ends_with_the_tokens(stage: Stage) -> None:
    """Revocations are forgotten when no token of theirs can be alive."""
    stage.revocations.revoke([new_id()])
    await stage.revocations.check(stage.caller())
    for _ in range(5):
        await stage.revocations.recheck()
    stage.clock.advance(revocation.REMEMBER_SECONDS + 1)
    await stage.revocations.recheck()

    assert (len(stage.revocations._revoked), len(stage.revocations._good)) == (0, 0)


# --- Valkey --------------------------------------------------------------------------------


@pytest.fixture
async def server(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of the run's Valkey, without revocations; whoever asks it has patience."""
    for name in ("VALKEY_POOL_TIMEOUT", "VALKEY_SOCKET_TIMEOUT", "VALKEY_CONNECT_TIMEOUT"):
        monkeypatch.setattr(baseline, name, 20)
    client = valkey_client.Valkey.from_url(valkey_url)
    await client.delete(SENTINEL)
    yield client
    await client.delete(SENTINEL)
    await client.aclose()


async def test_the_mirror_answers_first(server: Any, valkey_url: str, still: Runner) -> None:
    """With the sentinel in place Valkey decides and Postgres is not asked."""
    stage = Stage(still, valkey_url)
    good, bad = stage.caller(), stage.caller()
    await server.set(SENTINEL, "1")
    await server.set(key_of(bad.login_id), "1", ex=60)
    await stage.revocations.check(good)

    with pytest.raises(LoginRevoked):
        await stage.revocations.check(bad)
    assert stage.db.asked == 0


async def test_an_empty_valkey_is_not_a_mirror(server: Any, valkey_url: str, still: Runner) -> None:
    """Valkey up but restarted empty knows of no revocation: Postgres is asked."""
    stage = Stage(still, valkey_url)
    bad = stage.caller()
    stage.db.revoked.add(bad.login_id)
    await server.delete(SENTINEL)

    with pytest.raises(LoginRevoked):
        await stage.revocations.check(bad)
    assert stage.db.asked == 1


async def test_a_dead_valkey_is_left_alone_for_a_while(still: Runner) -> None:
    """After three failures the mirror is not tried for two seconds; Postgres answers meanwhile."""
    stage = Stage(still, f"valkey://127.0.0.1:{free_port()}/0")
    mirror = stage.revocations._mirror
    assert isinstance(mirror, ValkeyRevocations)
    for _ in range(3):
        await stage.revocations.check(stage.caller())

    with pytest.raises(MirrorAbsent, match="breaker"):
        await mirror.revoked([new_id()])
    stage.clock.advance(2.1)
    with pytest.raises(MirrorAbsent, match="Error"):
        await mirror.revoked([new_id()])
    assert stage.db.asked == 3


async def test_the_client_has_the_baseline(valkey_url: str, still: Runner) -> None:
    """No default of the library creeps back: every wait on Valkey is bounded."""
    mirror = Stage(still, valkey_url).revocations._mirror
    assert isinstance(mirror, ValkeyRevocations)
    options = mirror._pool.connection_kwargs

    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.15, 0.15)
    assert (mirror._pool.max_connections, mirror._pool.timeout) == (32, 0.1)
