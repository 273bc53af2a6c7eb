"""Sockets that say little: signs of life, and frames that say nothing but their kind."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import TestClient
from libs.common.tests.sockets_stage import hear, message
from pydantic import BaseModel, ConfigDict

from common.db import Unavailable
from common.ids import new_id
from common.runner import Runner
from common.sockets import Connection, Frame, Frames, Hub, SocketLimits
from common.testing import FakeClock, eventually
from common.testing.serving import EdgeTestServer
from common.testing.tokens import FakeRevocations, Mint
from common.web import Health, build_app

pytestmark = pytest.mark.req("AU-08")

ANSWER = b'{"type":"beaten","id":null,"data":{"ready":true}}'


class Settings:
    """What the edge reads."""

    trusted_hops = 0


class Beat(BaseModel):
    """It says nothing but its kind."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Stage:
    """A hub whose frame is answered with one that was rendered before."""

    def __init__(self, runner: Runner, limits: SocketLimits | None = None) -> None:
        self.mint = Mint(FakeClock())
        self.revocations = FakeRevocations()
        self.beats = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.hub = Hub(
            verifier=self.mint.verifier(),
            revocations=self.revocations,
            runner=runner,
            clock=self.mint.clock,
            service="life",
            limits=limits,
        )
        self.taken = 0
        self.error: Exception | None = None
        frames = Frames()
        frames.on("beat", Beat)(self._beat)
        frames.on("tick", Beat)(self._beat)
        frames.at_once("tick", self._tick)
        self.app = build_app(
            settings=Settings(),
            service="life",
            title="Life",
            routes=[],
            statuses={},
            verifier=None,
            revocations=None,
            health=Health(),
            sockets=[("/ws", self.hub.endpoint(roles={"mitra"}, frames=frames, on_open=_opened))],
        )

    async def _beat(self, _connection: Connection, _data: Beat, frame_id: str | None) -> Any:
        self.beats += 1
        await self.hold.wait()
        return ANSWER if frame_id is None else Frame(type="beaten", data={"ready": True})

    def _tick(self, connection: Connection) -> None:
        self.taken += 1
        if self.error is not None:
            raise self.error
        asyncio.get_running_loop().call_soon(connection.send, ANSWER)


async def _opened(_connection: Connection) -> Frame:
    return Frame(type="state")


async def connect(
    client: TestClient[Any, Any], stage: Stage, **claims: Any
) -> ClientWebSocketResponse:
    """Open a socket whose client answers no ping by itself."""
    socket = await client.ws_connect("/ws", autoping=False)
    await socket.ping()
    await socket.send_json({"type": "auth", "token": stage.mint.token(role="mitra", **claims)})
    assert (await message(socket)).type is WSMsgType.PONG
    assert (await hear(socket))["type"] == "state"
    return socket


async def tick(stage: Stage, seconds: float) -> None:
    """Let time pass over the sockets: only their own marks are moved."""
    for user in stage.hub.users():
        for connection in stage.hub.connections_of(user):
            connection.heard_at -= seconds
            connection.asked_at -= seconds
    await stage.hub.tick()


# A hundred times the product's: what the test itself takes is nothing beside it.
SLOW = SocketLimits(heartbeat_seconds=1500)


async def test_the_silent_are_asked_and_then_dropped(runner: Runner) -> None:
    """15 s of silence bring a ping; 7.5 s more without an answer end the connection."""
    stage = Stage(runner, SLOW)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        dead = await connect(client, stage)
        (connection,) = stage.hub.connections_of(*stage.hub.users())
        await tick(stage, 1400)
        assert connection.asked_at <= connection.heard_at
        await tick(stage, 200)
        assert (await message(dead)).type is WSMsgType.PING
        await tick(stage, 700)
        assert len(stage.hub.users()) == 1
        await tick(stage, 100)

        assert await eventually(lambda: not stage.hub.users())
        assert (await message(dead)).type in (WSMsgType.CLOSED, WSMsgType.ERROR)
    assert SocketLimits().heartbeat_seconds == 15


async def test_whoever_answers_or_says_something_stays(runner: Runner) -> None:
    """A pong is a sign of life, and so is every frame: the next question starts from there."""
    stage = Stage(runner, SLOW)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage)
        (connection,) = stage.hub.connections_of(*stage.hub.users())
        for sign in (socket.pong, lambda: socket.send_str('{"type":"beat"}')):
            await tick(stage, 1600)
            assert (await message(socket)).type is WSMsgType.PING
            asked_at = connection.asked_at
            await sign()
            assert await eventually(lambda: connection.heard_at >= asked_at)  # noqa: B023
            await tick(stage, 800)
        assert (await message(socket)).data.encode() == ANSWER

        assert len(stage.hub.users()) == 1


async def test_nobody_is_silent_while_we_do_not_listen(runner: Runner) -> None:
    """However long a frame takes to be handled, its sender is not dropped for it."""
    stage = Stage(runner)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage)
        stage.hold.clear()
        await socket.send_str('{"type":"beat"}')
        assert await eventually(lambda: stage.beats == 1)
        for _ in range(3):
            await tick(stage, 60)
        stage.hold.set()

        assert (await message(socket)).data.encode() == ANSWER


async def test_frames_that_say_nothing_are_checked_each_time(runner: Runner) -> None:
    """A beat sent again is not parsed again, but its login is asked about as ever."""
    stage = Stage(runner)
    login_id = new_id()
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage, login_id=login_id)
        for text in ('{"type":"beat","data":{}}',) * 2 + ('{"type":"beat","id":"7"}',) * 2:
            await socket.send_str(text)
        answers = [await hear(socket) for _ in range(4)]
        stage.revocations.revoked.add(login_id)
        await socket.send_str('{"type":"beat","data":{}}')

        assert [answer["id"] for answer in answers] == [None, None, "7", "7"]
        assert {answer["type"] for answer in answers} == {"beaten"}
        assert (await message(socket)).data == 4403
        assert stage.beats == 4


TICK = '{"type":"tick"}'


async def test_the_plainest_frames_are_taken_as_they_arrive(runner: Runner) -> None:
    """From its second time on a frame without id and fields needs no task; others do."""
    stage = Stage(runner)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage)
        for text in (TICK, TICK, '{"type":"tick","id":"1"}', TICK):
            await socket.send_str(text)
            assert (await hear(socket))["type"] == "beaten"

        assert (stage.beats, stage.taken) == (2, 2)


async def test_a_frame_waits_for_those_before_it(runner: Runner) -> None:
    """While a frame is being handled, or waits, no other overtakes it."""
    stage = Stage(runner)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage)
        await socket.send_str(TICK)
        await message(socket)
        stage.hold.clear()
        for text in ('{"type":"beat","id":"slow"}', TICK, TICK):
            await socket.send_str(text)
        assert await eventually(lambda: stage.beats == 2)
        assert stage.taken == 0
        stage.hold.set()
        answers = [await hear(socket) for _ in range(3)]

        assert [answer["id"] for answer in answers] == ["slow", None, None]


@pytest.mark.parametrize("how", ["revoked", "away", "flood", "failed", "binary"])
async def test_what_is_taken_at_once_is_checked_as_ever(runner: Runner, how: str) -> None:
    """Ended logins, a truth that is away, floods and errors: as for every other frame."""
    stage = Stage(runner, SocketLimits(messages=5))
    login_id = new_id()
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage, login_id=login_id)
        for _ in range(2):
            await socket.send_str(TICK)
            await message(socket)
        if how == "revoked":
            stage.revocations.revoked.add(login_id)
        if how == "away":
            stage.revocations.error = Unavailable(retry_after=2)
        if how == "failed":
            stage.error = RuntimeError("secret")
        for _ in range(4 if how == "flood" else 1):
            await (socket.send_bytes(b"x") if how == "binary" else socket.send_str(TICK))
        said = [await message(socket)]
        while said[-1].type is WSMsgType.TEXT and how == "flood":
            said.append(await message(socket))

        codes = {"revoked": 4403, "flood": 1008, "binary": 1003}
        if how in codes:
            assert said[-1].data == codes[how]
            assert stage.taken == (4 if how == "flood" else 1)
        else:
            code = {"away": "unavailable", "failed": "internal"}[how]
            assert said[-1].json()["data"]["code"] == code
            assert "secret" not in said[-1].data


def test_a_frame_with_fields_is_never_taken_at_once() -> None:
    """Its fields have to be looked at each time."""
    frames = Frames()

    class Say(BaseModel):
        text: str

    async def say(*_: object) -> None:
        raise AssertionError

    frames.on("say", Say)(say)
    with pytest.raises(TypeError):
        frames.at_once("say", lambda _connection: None)


@pytest.mark.parametrize("how", ["goodbye", "restart", "vanished"])
async def test_whoever_is_gone_is_forgotten_at_once(runner: Runner, how: str) -> None:
    """Nothing of an ended socket waits for a collection: those that look this far are rare."""
    stage = Stage(runner)
    async with TestClient(EdgeTestServer(stage.app)) as client:
        socket = await connect(client, stage)
        await socket.send_str(TICK)
        await message(socket)
        gc.collect()
        gc.disable()
        try:
            (connection,) = stage.hub.connections_of(*stage.hub.users())
            left = [weakref.ref(part) for part in (connection, connection._websocket)]
            if how == "restart":
                connection.close(1012)
                await message(socket)
            elif how == "vanished":
                transport = socket._response.connection.transport  # type: ignore[union-attr]
                transport.abort()  # type: ignore[union-attr]
            else:
                await socket.close()
            del connection

            assert await eventually(lambda: not any(part() for part in left))
        finally:
            gc.enable()
