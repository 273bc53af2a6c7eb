"""Sockets: how each of them ends."""

import asyncio

import pytest
import structlog
from libs.common.tests.sockets_stage import (
    PATIENCE_SECONDS,
    Client,
    Stage,
    client,
    close_code,
    enter,
    hear,
    limited,
    limits,
    stage,
)

from common.ids import new_id
from common.sockets import Frame
from common.testing import eventually

__all__ = ["client", "limits", "stage"]  # fixtures

pytestmark = pytest.mark.req("AU-08", "OP-09")


async def test_a_token_is_refreshed_in_place(stage: Stage, client: Client) -> None:
    """T67: warned 60 s before the end; with a fresh token the connection stays."""
    user_id, login_id = new_id(), new_id()
    socket = await enter(client, stage.mint.token(user_id=user_id, login_id=login_id))
    stage.clock.advance(541)
    await stage.hub.tick()
    await stage.hub.tick()
    warning = await hear(socket)
    fresh = stage.mint.token(user_id=user_id, login_id=login_id)
    await socket.send_json({"type": "auth", "id": "r", "token": fresh})
    refreshed = await hear(socket)
    stage.clock.advance(100)
    await stage.hub.tick()
    stage.hub.send(user_id, Frame(type="still"))

    assert (warning["type"], refreshed["type"]) == ("token_expiring", "auth_refreshed")
    assert (refreshed["id"], (await hear(socket))["type"]) == ("r", "still")


async def test_an_expired_socket_is_ended(stage: Stage, client: Client) -> None:
    """T67: without a fresh token it is closed with 4401 at the latest 25 s after the end."""
    socket = await enter(client, stage.mint.token())
    stage.clock.advance(600 + 24)
    await stage.hub.tick()

    assert await close_code(socket) == 4401


async def test_another_login_cannot_take_over(stage: Stage, client: Client) -> None:
    """T65: a later token of another user, or of another login of the same, ends it: 4403."""
    user_id = new_id()
    for token in (stage.mint.token(), stage.mint.token(user_id=user_id)):
        socket = await enter(client, stage.mint.token(user_id=user_id))
        await socket.send_json({"type": "auth", "token": token})

        assert await close_code(socket) == 4403


async def test_a_revoked_login_is_ended_and_hears_no_more(stage: Stage, client: Client) -> None:
    """T69: the push closes all sockets of the login with 4403; the user's other login stays."""
    user_id, login_id = new_id(), new_id()
    ended = await enter(client, stage.mint.token(user_id=user_id, login_id=login_id))
    other = await enter(client, stage.mint.token(user_id=user_id))
    watched = {login for source in stage.revocations.watched for login in source()}
    stage.revocations.revoke([login_id])

    assert login_id in watched
    assert stage.hub.send(user_id, Frame(type="after")) == 1
    assert await close_code(ended) == 4403
    assert (await hear(other))["type"] == "after"


@limited(close_seconds=0.2)
async def test_who_does_not_say_goodbye_is_dropped(stage: Stage, client: Client) -> None:
    """T69: a client that ignores the close is gone within the close time all the same."""
    login_id, user_id = new_id(), new_id()
    await enter(client, stage.mint.token(user_id=user_id, login_id=login_id))  # reads no more
    stage.revocations.revoke([login_id])

    assert await eventually(lambda: stage.closed == [user_id])
    assert not stage.hub.connected(user_id)


@pytest.mark.req("OP-08")
async def test_a_leaving_replica_sends_its_clients_elsewhere(stage: Stage, client: Client) -> None:
    """Every client is told a random wait and closed with 1012; new ones are refused."""
    sockets = [await enter(client, stage.mint.token()) for _ in range(5)]
    draining = asyncio.ensure_future(stage.hub.drain())
    waits = []
    for socket in sockets:
        frame = await hear(socket)
        waits.append(frame["data"]["retry_after_ms"])
        assert (frame["type"], await close_code(socket)) == ("restart", 1012)
    await draining
    late = await client.get("/ws")

    assert late.status == 503
    assert len(set(waits)) > 1
    assert all(0 <= wait <= 10_000 for wait in waits)
    assert set() == stage.hub.users()


@pytest.mark.req("OP-08")
@limited(close_seconds=0.2)
async def test_shutting_down_takes_no_longer_than_the_slowest_goodbye(
    stage: Stage, client: Client
) -> None:
    """An idle socket that never answers does not hold the process: the application's end drains."""
    await enter(client, stage.mint.token())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await stage.app.shutdown()

    assert set() == stage.hub.users()


async def test_nothing_is_left_behind(stage: Stage, client: Client) -> None:
    """After a hundred connections came and went no task and no index entry remains."""
    before = len(asyncio.all_tasks())
    for _ in range(20):
        for socket in [await enter(client, stage.mint.token()) for _ in range(5)]:
            await socket.close()

    assert await eventually(lambda: len(asyncio.all_tasks()) <= before + 2)
    assert await eventually(lambda: len(stage.closed) == 100)
    assert len(stage.hub._registry) == 0


async def test_each_socket_has_one_line(stage: Stage, client: Client) -> None:
    """The canonical line of a socket names the user, the role, its length and its end."""
    user_id = new_id()
    with structlog.testing.capture_logs() as lines:
        socket = await enter(client, stage.mint.token(user_id=user_id))
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
