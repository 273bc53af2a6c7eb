"""Sockets: who gets in, what they are told, and how each of them ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import UUID

import pytest
import structlog
from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    TCPConnector,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
)
from aiohttp.test_utils import TestClient
from pydantic import BaseModel, Field

from common.db import Unavailable
from common.ids import new_id
from common.runner import Runner
from common.sockets import Connection, Frame, Frames, Hub, SocketLimits
from common.testing import FakeClock, eventually, load_problem
from common.testing.serving import EdgeTestServer
from common.testing.tokens import FakeRevocations, Mint
from common.web import ALLOWED_ORIGINS, Health, build_app

Client = TestClient[Any, Any]
Socket = ClientWebSocketResponse

pytestmark = pytest.mark.req("AU-08", "OP-09")


class Settings:
    """What the edge reads."""

    trusted_hops = 0


class Refused(Exception):
    """Not now."""

    code: ClassVar[str] = "not_now"


class Say(BaseModel):
    """What a client may send."""

    text: str = Field(max_length=100)


class Stage:
    """A hub with everything around it that a test may turn."""

    def __init__(self, runner: Runner, limits: SocketLimits | None = None) -> None:
        self.clock = FakeClock()
        self.mint = Mint(self.clock)
        self.revocations = FakeRevocations()
        self.hub = Hub(
            verifier=self.mint.verifier(),
            revocations=self.revocations,
            runner=runner,
            clock=self.clock,
            service="test",
            limits=limits,
        )
        self.opened: list[Connection] = []
        self.closed: list[UUID] = []
        self.error: Exception | None = None
        self.snapshot = asyncio.Event()
        self.snapshot.set()
        self.app = build_app(
            settings=Settings(),
            service="test",
            title="Test",
            routes=[],
            statuses={},
            verifier=self.mint.verifier(),
            revocations=None,
            health=Health(),
            sockets=[("/ws", self._endpoint())],
        )

    def _endpoint(self) -> Any:
        frames = Frames()

        @frames.on("say", Say)
        async def say(connection: Connection, data: Say, _frame_id: str | None) -> Frame | None:
            if data.text == "fail":
                raise RuntimeError("secret")
            if data.text == "refuse":
                raise Refused
            return None if data.text == "silent" else Frame(type="said", data=data)

        return self.hub.endpoint(
            roles={"customer", "mitra"}, frames=frames, on_open=self._open, on_close=self._close
        )

    async def _open(self, connection: Connection) -> Frame:
        self.opened.append(connection)
        await self.snapshot.wait()
        if self.error is not None:
            raise self.error
        return Frame(type="state", data={"cursor": connection.cursor})

    async def _close(self, connection: Connection) -> None:
        self.closed.append(connection.caller.user_id)


@pytest.fixture
async def stage(runner: Runner) -> Stage:
    """A fresh hub."""
    return Stage(runner)


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    """A client of it."""
    async with TestClient(EdgeTestServer(stage.app)) as client:
        yield client


async def connect(client: Client, token: str, **extra: Any) -> Socket:
    """Open a socket and authenticate by the first message."""
    socket = await client.ws_connect("/ws")
    await socket.send_json({"type": "auth", "token": token, **extra})
    return socket


async def state(socket: Socket) -> dict[str, Any]:
    """Read the first frame."""
    frame: dict[str, Any] = await socket.receive_json(timeout=5)
    assert frame["type"] == "state"
    return frame


async def close_code(socket: Socket) -> int | None:
    """Read until the end and return its code."""
    while not socket.closed:
        message = await socket.receive(timeout=5)
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            break
    return socket.close_code


# --- getting in ----------------------------------------------------------------------------


async def test_the_first_message_authenticates(stage: Stage, client: Client) -> None:
    """A token and a cursor come with the first message; the first answer is the state."""
    user_id = new_id()
    socket = await connect(client, stage.mint.token(user_id=user_id), cursor={"a": 7})

    assert (await state(socket))["data"] == {"cursor": {"a": 7}}
    assert stage.hub.connected(user_id)
    assert {user_id} == stage.hub.users()
    await socket.close()
    assert await eventually(lambda: stage.closed == [user_id])
    assert not stage.hub.connected(user_id)


async def test_a_header_authenticates_too(stage: Stage, client: Client) -> None:
    """Clients that can set headers send no first message."""
    socket = await client.ws_connect(
        "/ws", headers={"Authorization": f"Bearer {stage.mint.token()}"}
    )

    assert await state(socket)


async def test_silence_is_ended(runner: Runner) -> None:
    """T64: a socket that does not say who it is is closed with 4408."""
    stage = Stage(runner, SocketLimits(auth_seconds=0.05))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await client.ws_connect("/ws")

        assert await close_code(socket) == 4408


@pytest.mark.parametrize("query", ["token=x", "access_token=x", "q=eyJhbGciOiJ4In0.e30.", "JWT="])
async def test_a_token_in_the_address_is_refused(client: Client, query: str) -> None:
    """T64: a token in the query is refused before the handshake, and not logged."""
    with structlog.testing.capture_logs() as lines:
        answer = await client.get(f"/ws?{query}")

    assert (answer.status, (await load_problem(answer))["code"]) == (400, "token_in_url")
    assert "eyJ" not in str(lines)


async def test_bad_tokens_close_with_their_code(stage: Stage, client: Client) -> None:
    """T65: expired 4401; forged 4401; revoked 4403; another audience 4403."""
    revoked = new_id()
    stage.revocations.revoked.add(revoked)
    old = stage.mint.token(life=5)
    stage.clock.advance(20)
    tokens = {
        old: 4401,
        "a.b.c": 4401,
        stage.mint.sign(stage.mint.claims(), typ="refresh+jwt"): 4401,
        stage.mint.token(login_id=revoked): 4403,
        stage.mint.token(role="operator"): 4403,
    }

    for token, code in tokens.items():
        assert code == await close_code(await connect(client, token))
    assert stage.opened == []


async def test_a_bad_header_is_refused_before_the_handshake(stage: Stage, client: Client) -> None:
    """With a header the answer is plain HTTP: 401 or 403."""
    for token, status in (("a.b.c", 401), (stage.mint.token(role="operator"), 403)):
        with pytest.raises(WSServerHandshakeError) as error:
            await client.ws_connect("/ws", headers={"Authorization": f"Bearer {token}"})

        assert status == error.value.status


@pytest.mark.parametrize(
    "first",
    [
        "{",
        "[]",
        '{"type":"say"}',
        '{"type":"auth"}',
        '{"type":"auth","token":5}',
        '{"type":"auth","token":"a.b.c","more":' + "[" * 300 + "]" * 300 + "}",
        "\x00",
    ],
)
async def test_another_first_message_ends_it(client: Client, first: str) -> None:
    """What is no auth message closes with 1008."""
    socket = await client.ws_connect("/ws")
    await socket.send_str(first)

    assert await close_code(socket) == WSCloseCode.POLICY_VIOLATION


async def test_a_first_message_is_no_larger_than_any_other(client: Client) -> None:
    """T73: more than 16 KiB closes with 1009, also from somebody unknown."""
    socket = await client.ws_connect("/ws")
    await socket.send_str('{"type":"auth","token":"' + "x" * 17_000 + '"}')

    assert await close_code(socket) == WSCloseCode.MESSAGE_TOO_BIG


async def test_one_address_cannot_take_every_place(runner: Runner) -> None:
    """Sockets that stay silent shut out their own address only, and only while they are open."""
    stage = Stage(runner, SocketLimits(most_unauthenticated_per_address=2))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        silent = [await client.ws_connect("/ws") for _ in range(2)]
        assert await eventually(lambda: len(stage.hub._door.strangers) == 2)
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/ws")
        async with (
            ClientSession(connector=TCPConnector(local_addr=("127.0.0.2", 0))) as elsewhere,
            elsewhere.ws_connect(client.make_url("/ws")) as neighbour,
        ):
            await neighbour.send_json({"type": "auth", "token": stage.mint.token()})
            await state(neighbour)
        await silent[0].close()
        assert await eventually(lambda: len(stage.hub._door.strangers) == 1)
        await state(await connect(client, stage.mint.token()))

    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert int(refused.value.headers["Retry-After"]) > 0


async def test_a_sixth_socket_is_refused(stage: Stage, client: Client) -> None:
    """T73: five sockets a user; the sixth gets 4429, another user gets in, the five live on."""
    user_id = new_id()
    sockets = [await connect(client, stage.mint.token(user_id=user_id)) for _ in range(5)]
    for socket in sockets:
        await state(socket)
    sixth = await connect(client, stage.mint.token(user_id=user_id))

    assert await close_code(sixth) == 4429
    assert await state(await connect(client, stage.mint.token()))
    assert stage.hub.send(user_id, Frame(type="x")) == 5


async def test_opening_again_and_again_is_refused(runner: Runner) -> None:
    """Each opening costs a full state: beyond a burst one a second, and others are not held up."""
    stage = Stage(runner, SocketLimits(opens_per_user=3))
    user_id = new_id()
    async with TestClient(EdgeTestServer(stage.app)) as client:
        for _ in range(3):
            socket = await connect(client, stage.mint.token(user_id=user_id))
            await state(socket)
            await socket.close()
        assert await close_code(await connect(client, stage.mint.token(user_id=user_id))) == 4429
        await state(await connect(client, stage.mint.token()))
        stage.clock.advance(1.1)
        await state(await connect(client, stage.mint.token(user_id=user_id)))


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 403), ("null", 403), ("http://[", 403), ("{own}", 101)],
)
async def test_pages_of_other_hosts_are_refused(
    stage: Stage, client: Client, origin: str, status: int
) -> None:
    """Without an allow-list a browser's page must come from the same host."""
    own = f"http://{client.host}:{client.port}"
    headers = {
        "Origin": origin.replace("{own}", own),
        "Authorization": f"Bearer {stage.mint.token()}",
    }
    if status == 101:
        assert await state(await client.ws_connect("/ws", headers=headers))
        return
    with pytest.raises(WSServerHandshakeError) as error:
        await client.ws_connect("/ws", headers=headers)
    assert status == error.value.status


async def test_an_allow_list_decides_alone(stage: Stage) -> None:
    """With a list only its origins open sockets, the own host included only when listed."""
    stage.app[ALLOWED_ORIGINS] = ("https://app.temani.example",)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        headers = {"Authorization": f"Bearer {stage.mint.token()}"}
        listed = await client.ws_connect(
            "/ws", headers={**headers, "Origin": "https://APP.temani.example"}
        )
        with pytest.raises(WSServerHandshakeError):
            await client.ws_connect(
                "/ws", headers={**headers, "Origin": f"http://{client.host}:{client.port}"}
            )

        assert await state(listed)


async def test_only_handshakes_are_served(client: Client) -> None:
    """A plain request gets 426, other methods 405."""
    plain = await client.get("/ws")
    posted = await client.post("/ws")

    assert (plain.status, posted.status) == (426, 405)
    assert (await load_problem(plain))["code"] == "upgrade_required"


async def test_when_nobody_can_tell_the_socket_waits(stage: Stage, client: Client) -> None:
    """With revocations unknowable the socket is not accepted: 1013, come again."""
    stage.revocations.error = Unavailable()
    socket = await connect(client, stage.mint.token())

    assert await close_code(socket) == WSCloseCode.TRY_AGAIN_LATER


async def test_a_failing_snapshot_ends_the_socket(stage: Stage, client: Client) -> None:
    """Without its state a client would be blind: 1013 when the truth is away, 1011 for a bug."""
    for error, code in ((Unavailable(), 1013), (RuntimeError("bug"), 1011)):
        stage.error = error

        assert code == await close_code(await connect(client, stage.mint.token()))
    assert await eventually(lambda: not stage.hub.users())


# --- telling -------------------------------------------------------------------------------


async def test_what_happens_meanwhile_comes_after_the_state(stage: Stage, client: Client) -> None:
    """Frames sent while the first one is being made are not lost and not early."""
    user_id = new_id()
    stage.snapshot.clear()
    socket = await connect(client, stage.mint.token(user_id=user_id))
    await eventually(lambda: stage.opened)
    stage.hub.send(user_id, Frame(type="news"))
    stage.snapshot.set()

    await state(socket)
    assert (await socket.receive_json(timeout=5))["type"] == "news"


async def test_a_user_is_told_on_every_connection(stage: Stage, client: Client) -> None:
    """send() reaches all connections of the user, send_many() several users, nobody else."""
    first, second, other = new_id(), new_id(), new_id()
    users = (first, first, second, other)
    sockets = [await connect(client, stage.mint.token(user_id=user)) for user in users]
    for socket in sockets:
        await state(socket)

    assert stage.hub.send(first, Frame(type="one", data=Say(text="x"))) == 2
    assert stage.hub.send_many([first, second, new_id()], b'{"type":"two"}') == 3
    for socket, expected in zip(sockets, (["one", "two"], ["one", "two"], ["two"]), strict=False):
        assert expected == [(await socket.receive_json(timeout=5))["type"] for _ in expected]
    with pytest.raises(TimeoutError):
        await sockets[3].receive(timeout=0.05)


async def test_a_reader_that_does_not_read_is_cut(runner: Runner) -> None:
    """A full queue ends the connection at once; the neighbours notice nothing."""
    stage = Stage(runner, SocketLimits(queue_frames=256, queue_bytes=256 * 1024))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        slow, quick = new_id(), new_id()
        socket = await connect(client, stage.mint.token(user_id=slow))
        other = await connect(client, stage.mint.token(user_id=quick))
        await state(other)
        await state(socket)
        transport = socket._conn.transport  # type: ignore[union-attr]  # stop reading, as a frozen phone does
        assert transport is not None
        transport.pause_reading()
        big = Frame(type="big", data={"text": "x" * 4000})
        (connection,) = stage.hub.connections_of(slow)
        most = 0
        # What the kernel's own buffers take is not ours: some MB on this machine's loopback.
        for _ in range(10_000):
            if not stage.hub.send(slow, big):
                break
            most = max(most, connection._queued_bytes)
            await asyncio.sleep(0)
        stage.hub.send(quick, Frame(type="small"))

        assert 200 * 1024 < most <= 256 * 1024
        assert (await other.receive_json(timeout=5))["type"] == "small"
        assert await eventually(lambda: stage.closed == [slow])
        transport.abort()


async def test_what_waits_keeps_its_order(runner: Runner) -> None:
    """Frames of a closed window come before those that were sent when it was open again."""
    stage = Stage(runner, SocketLimits(queue_frames=10**6, queue_bytes=10**9))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        user_id = new_id()
        socket = await connect(client, stage.mint.token(user_id=user_id))
        await state(socket)
        transport = socket._conn.transport  # type: ignore[union-attr]  # the window closes, and opens
        assert transport is not None
        transport.pause_reading()
        for number in range(400):
            stage.hub.send(user_id, Frame(type="big", data={"n": number, "text": "x" * 30_000}))
        (connection,) = stage.hub.connections_of(user_id)
        assert connection._waiting > 0
        transport.resume_reading()
        seen = []
        for number in range(400, 800):
            stage.hub.send(user_id, Frame(type="big", data={"n": number}))
            seen.append((await socket.receive_json(timeout=5))["data"]["n"])
        seen += [(await socket.receive_json(timeout=5))["data"]["n"] for _ in range(400)]

        assert seen == list(range(800))
        assert (connection._waiting, connection._queued_bytes) == (0, 0)


async def test_a_send_that_hangs_is_cut(runner: Runner) -> None:
    """A client whose window stays closed is dropped when a send takes too long."""
    limits = SocketLimits(queue_frames=10**6, queue_bytes=10**9, send_seconds=0.2)
    stage = Stage(runner, limits)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        user_id = new_id()
        socket = await connect(client, stage.mint.token(user_id=user_id))
        await state(socket)
        transport = socket._conn.transport  # type: ignore[union-attr]  # stop reading, as a frozen phone does
        assert transport is not None
        transport.pause_reading()
        frame = Frame(type="big", data={"text": "x" * 60_000})
        for _ in range(400):
            stage.hub.send(user_id, frame)

        assert await eventually(lambda: stage.closed == [user_id])
        transport.abort()


# --- being told ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "frame_id"),
    [
        ("{", "invalid_frame", None),
        ("[]", "invalid_frame", None),
        ("[" * 5000, "invalid_frame", None),
        ('{"type":"say","data":' + "[" * 300 + "]" * 300 + "}", "invalid_frame", None),
        ("{}", "invalid_frame", None),
        ('{"type":5}', "invalid_frame", None),
        ('{"type":"say","id":5}', "invalid_frame", None),
        ('{"type":"say","id":"' + "x" * 65 + '"}', "invalid_frame", None),
        ('{"type":"say","id":"7"}', "invalid_frame", "7"),
        ('{"type":"say","id":"7","data":[]}', "invalid_frame", "7"),
        ('{"type":"say","id":"7","data":null}', "invalid_frame", "7"),
        ('{"type":"say","id":"7","data":{"text":5}}', "invalid_frame", "7"),
        ('{"type":"say","id":"7","data":{"text":"\\u0000"}}', "invalid_frame", "7"),
        ('{"type":"say","id":"7","data":{"text":"\\ud800"}}', "invalid_frame", None),
        ('{"type":"say","id":"7","data":{"text":NaN}}', "invalid_frame", None),
        ('{"type":"dance","id":"7"}', "unknown_frame", "7"),
        ('{"type":"say","id":"7","data":{"text":"refuse"}}', "not_now", "7"),
        ('{"type":"say","id":"7","data":{"text":"fail"}}', "internal", "7"),
        ('{"type":"auth","token":"a.b.c"}', "unauthenticated", None),
    ],
)
async def test_a_bad_frame_costs_an_error_frame(
    stage: Stage, client: Client, text: str, code: str, frame_id: str | None
) -> None:
    """T73: broken, deep, unknown or refused frames are answered; the connection goes on."""
    socket = await connect(client, stage.mint.token())
    await state(socket)
    await socket.send_str(text)
    error = await socket.receive_json(timeout=5)
    await socket.send_json({"type": "say", "id": "9", "data": {"text": "hi"}})
    said = await socket.receive_json(timeout=5)

    assert ("error", code, frame_id) == (error["type"], error["data"]["code"], error["id"])
    assert "secret" not in str(error)
    assert said == {"type": "said", "id": "9", "data": {"text": "hi"}}


async def test_binary_large_and_many_frames_end_it(stage: Stage, client: Client) -> None:
    """T73: binary 1003, more than 16 KiB 1009, a flood 1008; a neighbour goes on."""
    neighbour = await connect(client, stage.mint.token())
    await state(neighbour)
    binary, large, flood = [await connect(client, stage.mint.token()) for _ in range(3)]
    await binary.send_bytes(b"x")
    await large.send_str("x" * 17_000)
    for _ in range(102):
        await flood.send_json({"type": "say", "data": {"text": "silent"}})

    assert [await close_code(s) for s in (binary, large, flood)] == [1003, 1009, 1008]
    await neighbour.send_json({"type": "say", "data": {"text": "hi"}})
    assert (await neighbour.receive_json(timeout=5))["type"] == "said"


async def test_a_frame_of_an_ended_login_is_not_handled(stage: Stage, client: Client) -> None:
    """T71: even before the push arrives a frame of a revoked login does nothing: 4403."""
    login = new_id()
    socket = await connect(client, stage.mint.token(login_id=login))
    await state(socket)
    stage.revocations.revoked.add(login)
    await socket.send_json({"type": "say", "data": {"text": "hi"}})

    assert await close_code(socket) == 4403


async def test_a_frame_is_refused_while_nobody_can_tell(stage: Stage, client: Client) -> None:
    """With the truth away a frame gets `unavailable` with a wait, and the socket stays."""
    socket = await connect(client, stage.mint.token())
    await state(socket)
    stage.revocations.error = Unavailable(retry_after=2)
    await socket.send_json({"type": "say", "id": "1", "data": {"text": "hi"}})
    error = await socket.receive_json(timeout=5)

    assert (error["data"]["code"], error["data"]["retry_after_ms"]) == ("unavailable", 2000)


# --- ending --------------------------------------------------------------------------------


async def test_a_token_is_refreshed_in_place(stage: Stage, client: Client) -> None:
    """T67: warned 60 s before the end; with a fresh token the connection stays."""
    user_id, login_id = new_id(), new_id()
    socket = await connect(client, stage.mint.token(user_id=user_id, login_id=login_id))
    await state(socket)
    stage.clock.advance(541)
    await stage.hub.tick()
    await stage.hub.tick()
    warning = await socket.receive_json(timeout=5)
    fresh = stage.mint.token(user_id=user_id, login_id=login_id)
    await socket.send_json({"type": "auth", "id": "r", "token": fresh})
    refreshed = await socket.receive_json(timeout=5)
    stage.clock.advance(100)
    await stage.hub.tick()
    stage.hub.send(user_id, Frame(type="still"))

    assert (warning["type"], refreshed["type"]) == ("token_expiring", "auth_refreshed")
    assert (refreshed["id"], (await socket.receive_json(timeout=5))["type"]) == ("r", "still")


async def test_an_expired_socket_is_ended(stage: Stage, client: Client) -> None:
    """T67: without a fresh token it is closed with 4401 at the latest 25 s after the end."""
    socket = await connect(client, stage.mint.token())
    await state(socket)
    stage.clock.advance(600 + 24)
    await stage.hub.tick()

    assert await close_code(socket) == 4401


async def test_another_login_cannot_take_over(stage: Stage, client: Client) -> None:
    """T65: a later token of another user, or of another login of the same, ends it: 4403."""
    user_id = new_id()
    for token in (stage.mint.token(), stage.mint.token(user_id=user_id)):
        socket = await connect(client, stage.mint.token(user_id=user_id))
        await state(socket)
        await socket.send_json({"type": "auth", "token": token})

        assert await close_code(socket) == 4403


async def test_a_revoked_login_is_ended_and_hears_no_more(stage: Stage, client: Client) -> None:
    """T69: the push closes all sockets of the login with 4403; the user's other login stays."""
    user_id, login_id = new_id(), new_id()
    ended = await connect(client, stage.mint.token(user_id=user_id, login_id=login_id))
    other = await connect(client, stage.mint.token(user_id=user_id))
    await state(ended)
    await state(other)
    watched = {login for source in stage.revocations.watched for login in source()}
    stage.revocations.revoke([login_id])

    assert login_id in watched
    assert stage.hub.send(user_id, Frame(type="after")) == 1
    assert await close_code(ended) == 4403
    assert (await other.receive_json(timeout=5))["type"] == "after"


async def test_who_does_not_say_goodbye_is_dropped(runner: Runner) -> None:
    """T69: a client that ignores the close is gone within the close time all the same."""
    stage = Stage(runner, SocketLimits(close_seconds=0.2))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        login_id, user_id = new_id(), new_id()
        socket = await connect(client, stage.mint.token(user_id=user_id, login_id=login_id))
        await state(socket)  # and never reads again
        stage.revocations.revoke([login_id])

        assert await eventually(lambda: not stage.hub.connected(user_id), timeout=2)
        assert [user_id] == stage.closed


@pytest.mark.req("OP-08")
async def test_a_leaving_replica_sends_its_clients_elsewhere(stage: Stage, client: Client) -> None:
    """Every client is told a random wait and closed with 1012; new ones are refused."""
    sockets = [await connect(client, stage.mint.token()) for _ in range(5)]
    for socket in sockets:
        await state(socket)
    draining = asyncio.ensure_future(stage.hub.drain())
    waits = []
    for socket in sockets:
        frame = await socket.receive_json(timeout=5)
        waits.append(frame["data"]["retry_after_ms"])
        assert (frame["type"], await close_code(socket)) == ("restart", 1012)
    await draining
    late = await client.get("/ws")

    assert late.status == 503
    assert len(set(waits)) > 1
    assert all(0 <= wait <= 10_000 for wait in waits)
    assert set() == stage.hub.users()


@pytest.mark.req("OP-08")
async def test_shutting_down_takes_no_longer_than_the_slowest_goodbye(runner: Runner) -> None:
    """An idle socket that never answers does not hold the process: the application's end drains."""
    stage = Stage(runner, SocketLimits(close_seconds=0.2))
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage.mint.token())
        await state(socket)
        async with asyncio.timeout(3):
            await stage.app.shutdown()

        assert set() == stage.hub.users()


async def test_nothing_is_left_behind(stage: Stage, client: Client) -> None:
    """After a hundred connections came and went no task and no index entry remains."""
    before = len(asyncio.all_tasks())
    for _ in range(20):
        sockets = [await connect(client, stage.mint.token()) for _ in range(5)]
        for socket in sockets:
            await state(socket)
            await socket.close()

    assert await eventually(lambda: len(asyncio.all_tasks()) <= before + 2)
    assert await eventually(lambda: len(stage.closed) == 100)
    assert len(stage.hub._registry) == 0


async def test_each_socket_has_one_line(stage: Stage, client: Client) -> None:
    """The canonical line of a socket names the user, the role, its length and its end."""
    user_id = new_id()
    with structlog.testing.capture_logs() as lines:
        socket = await connect(client, stage.mint.token(user_id=user_id))
        await state(socket)
        await socket.close()
        await eventually(lambda: [line for line in lines if line["event"] == "socket"])

    (line,) = [line for line in lines if line["event"] == "socket"]
    assert (user_id, "customer", 1000) == (line["user_id"], line["role"], line["close"])
    text = await (await client.get("/metrics")).text()
    assert 'ws_close_total{code="1000",service="test"}' in text
    assert 'ws_connections{service="test"} 0.0' in text


@pytest.mark.req("OP-08")
async def test_strangers_leave_with_the_replica(stage: Stage, client: Client) -> None:
    """A socket that has not said who it is does not hold the process either."""
    socket = await client.ws_connect("/ws")
    await eventually(lambda: stage.hub._door.strangers)
    draining = asyncio.ensure_future(stage.hub.drain())

    assert await close_code(socket) == 1012
    await draining
    assert await eventually(lambda: not stage.hub._door.strangers)


async def test_a_handshake_with_a_body_is_refused(client: Client) -> None:
    """A body behind an upgrade is how requests are smuggled past a gateway."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b" 400 " in answer.splitlines()[0]
