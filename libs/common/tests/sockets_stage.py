"""A hub with everything around it that the tests of sockets may turn."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import UUID

import pytest
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType
from aiohttp.test_utils import TestClient
from pydantic import BaseModel, Field

from common.runner import Runner
from common.sockets import Connection, Frame, Frames, Hub, SocketLimits
from common.testing import FakeClock
from common.testing.serving import EdgeTestServer
from common.testing.tokens import FakeRevocations, Mint
from common.web import Health, build_app

Client = TestClient[Any, Any]
Socket = ClientWebSocketResponse

PATIENCE_SECONDS = 20
# The product's bounds, but nobody is cut off because the machine is busy.
_PATIENT = SocketLimits(auth_seconds=60, send_seconds=60, close_seconds=PATIENCE_SECONDS)


def limited(**changes: Any) -> pytest.MarkDecorator:
    """Give the stage of a test other limits."""
    other = dataclasses.replace(_PATIENT, **changes)
    return pytest.mark.parametrize("limits", [other], ids=[",".join(changes)])


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

    def __init__(self, runner: Runner, limits: SocketLimits) -> None:
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
def limits() -> SocketLimits:
    """What the hub allows; `limited` changes it."""
    return _PATIENT


@pytest.fixture
async def stage(runner: Runner, limits: SocketLimits) -> Stage:
    """A fresh hub."""
    return Stage(runner, limits)


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


async def enter(client: Client, token: str) -> Socket:
    """Open a socket and read the first frame."""
    socket = await connect(client, token)
    await state(socket)
    return socket


async def message(socket: Socket) -> WSMessage:
    """Read the next message."""
    return await socket.receive(timeout=PATIENCE_SECONDS)


async def hear(socket: Socket) -> dict[str, Any]:
    """Read the next frame."""
    frame: dict[str, Any] = (await message(socket)).json()
    return frame


async def state(socket: Socket) -> dict[str, Any]:
    """Read the first frame."""
    frame = await hear(socket)
    assert frame["type"] == "state"
    return frame


def stop_reading(socket: Socket) -> asyncio.Transport:
    """Close the window, as a frozen phone does; its resume_reading() opens it again."""
    connection = socket._conn
    assert connection is not None
    transport = connection.transport
    assert transport is not None
    transport.pause_reading()
    return transport


async def close_code(socket: Socket) -> int | None:
    """Read until the end and return its code."""
    while not socket.closed:
        last = await message(socket)
        if last.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            break
    return socket.close_code
