"""Sockets: who gets in, and who is refused with which code."""

import asyncio

import pytest
import structlog
from aiohttp import ClientSession, TCPConnector, WSCloseCode, WSServerHandshakeError
from aiohttp.test_utils import TestClient
from libs.common.tests.sockets_stage import (
    Client,
    Stage,
    client,
    close_code,
    connect,
    enter,
    limited,
    limits,
    stage,
    state,
)

from common.db import Unavailable
from common.ids import new_id
from common.sockets import Frame
from common.testing import eventually, load_problem
from common.testing.serving import EdgeTestServer
from common.web import ALLOWED_ORIGINS

__all__ = ["client", "limits", "stage"]  # fixtures

pytestmark = pytest.mark.req("AU-08", "OP-09")


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


@limited(auth_seconds=0.05)
async def test_silence_is_ended(client: Client) -> None:
    """T64: a socket that does not say who it is is closed with 4408."""
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


@limited(most_unauthenticated_per_address=2)
async def test_one_address_cannot_take_every_place(stage: Stage, client: Client) -> None:
    """Sockets that stay silent shut out their own address only, and only while they are open."""
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
    await enter(client, stage.mint.token())

    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert int(refused.value.headers["Retry-After"]) > 0


async def test_a_sixth_socket_is_refused(stage: Stage, client: Client) -> None:
    """T73: five sockets a user; the sixth gets 4429, another user gets in, the five live on."""
    user_id = new_id()
    for _ in range(5):
        await enter(client, stage.mint.token(user_id=user_id))
    sixth = await connect(client, stage.mint.token(user_id=user_id))

    assert await close_code(sixth) == 4429
    await enter(client, stage.mint.token())
    assert stage.hub.send(user_id, Frame(type="x")) == 5


@limited(opens_per_user=3)
async def test_opening_again_and_again_is_refused(stage: Stage, client: Client) -> None:
    """Each opening costs a full state: beyond a burst one a second, and others are not held up."""
    user_id = new_id()
    for _ in range(3):
        socket = await enter(client, stage.mint.token(user_id=user_id))
        await socket.close()
    assert await close_code(await connect(client, stage.mint.token(user_id=user_id))) == 4429
    await enter(client, stage.mint.token())
    stage.clock.advance(1.1)
    await enter(client, stage.mint.token(user_id=user_id))


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
