"""Sockets: what clients are told, and what becomes of what they say."""

import asyncio

import pytest
from libs.common.tests.sockets_stage import (
    Client,
    Say,
    Stage,
    client,
    close_code,
    connect,
    enter,
    hear,
    limited,
    limits,
    stage,
    state,
    stop_reading,
)

from common.db import Unavailable
from common.ids import new_id
from common.sockets import Frame
from common.testing import eventually

__all__ = ["client", "limits", "stage"]  # fixtures

pytestmark = pytest.mark.req("AU-08", "OP-09")


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
    assert (await hear(socket))["type"] == "news"


async def test_a_user_is_told_on_every_connection(stage: Stage, client: Client) -> None:
    """A frame, rendered or not, reaches all connections of the user, and nobody else."""
    first, second, other = new_id(), new_id(), new_id()
    users = (first, first, second, other)
    sockets = [await enter(client, stage.mint.token(user_id=user)) for user in users]

    assert stage.hub.send(first, Frame(type="one", data=Say(text="x"))) == 2
    assert stage.hub.send(second, b'{"type":"two"}') == 1
    assert stage.hub.send(new_id(), b'{"type":"two"}') == 0
    assert stage.hub.send(other, Frame(type="three")) == 1
    heard = (["one"], ["one"], ["two"], ["three"])
    for socket, expected in zip(sockets, heard, strict=True):
        assert expected == [(await hear(socket))["type"] for _ in expected]


@limited(queue_frames=256, queue_bytes=256 * 1024)
async def test_a_reader_that_does_not_read_is_cut(stage: Stage, client: Client) -> None:
    """A full queue ends the connection at once; the neighbours notice nothing."""
    slow, quick = new_id(), new_id()
    socket = await connect(client, stage.mint.token(user_id=slow))
    other = await enter(client, stage.mint.token(user_id=quick))
    await state(socket)
    transport = stop_reading(socket)
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
    assert (await hear(other))["type"] == "small"
    assert await eventually(lambda: stage.closed == [slow])
    transport.abort()


@limited(queue_frames=10**6, queue_bytes=10**9)
async def test_what_waits_keeps_its_order(stage: Stage, client: Client) -> None:
    """Frames of a closed window come before those that were sent when it was open again."""
    user_id = new_id()
    socket = await enter(client, stage.mint.token(user_id=user_id))
    transport = stop_reading(socket)
    for number in range(400):
        stage.hub.send(user_id, Frame(type="big", data={"n": number, "text": "x" * 30_000}))
    (connection,) = stage.hub.connections_of(user_id)
    assert connection._waiting > 0
    transport.resume_reading()
    seen = []
    for number in range(400, 800):
        stage.hub.send(user_id, Frame(type="big", data={"n": number}))
        seen.append((await hear(socket))["data"]["n"])
    seen += [(await hear(socket))["data"]["n"] for _ in range(400)]

    assert seen == list(range(800))
    assert (connection._waiting, connection._queued_bytes) == (0, 0)


@limited(queue_frames=10**6, queue_bytes=10**9, send_seconds=0.2)
async def test_a_send_that_hangs_is_cut(stage: Stage, client: Client) -> None:
    """A client whose window stays closed is dropped when a send takes too long."""
    user_id = new_id()
    socket = await enter(client, stage.mint.token(user_id=user_id))
    transport = stop_reading(socket)
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
    socket = await enter(client, stage.mint.token())
    await socket.send_str(text)
    error = await hear(socket)
    await socket.send_json({"type": "say", "id": "9", "data": {"text": "hi"}})
    said = await hear(socket)

    assert ("error", code, frame_id) == (error["type"], error["data"]["code"], error["id"])
    assert "secret" not in str(error)
    assert said == {"type": "said", "id": "9", "data": {"text": "hi"}}


async def test_binary_large_and_many_frames_end_it(stage: Stage, client: Client) -> None:
    """T73: binary 1003, more than 16 KiB 1009, a flood 1008; a neighbour goes on."""
    neighbour = await enter(client, stage.mint.token())
    binary, large, flood = [await connect(client, stage.mint.token()) for _ in range(3)]
    await binary.send_bytes(b"x")
    await large.send_str("x" * 17_000)
    for _ in range(102):
        await flood.send_json({"type": "say", "data": {"text": "silent"}})

    assert [await close_code(s) for s in (binary, large, flood)] == [1003, 1009, 1008]
    await neighbour.send_json({"type": "say", "data": {"text": "hi"}})
    assert (await hear(neighbour))["type"] == "said"


async def test_a_frame_of_an_ended_login_is_not_handled(stage: Stage, client: Client) -> None:
    """T71: even before the push arrives a frame of a revoked login does nothing: 4403."""
    login = new_id()
    socket = await enter(client, stage.mint.token(login_id=login))
    stage.revocations.revoked.add(login)
    await socket.send_json({"type": "say", "data": {"text": "hi"}})

    assert await close_code(socket) == 4403


async def test_a_frame_is_refused_while_nobody_can_tell(stage: Stage, client: Client) -> None:
    """With the truth away a frame gets `unavailable` with a wait, and the socket stays."""
    socket = await enter(client, stage.mint.token())
    stage.revocations.error = Unavailable(retry_after=2)
    await socket.send_json({"type": "say", "id": "1", "data": {"text": "hi"}})
    error = await hear(socket)

    assert (error["data"]["code"], error["data"]["retry_after_ms"]) == ("unavailable", 2000)
