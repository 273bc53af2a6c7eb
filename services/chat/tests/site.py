"""A whole chat replica in this process, and people who call it over HTTP and sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import jwt
from aiohttp import web
from services.chat.tests.midtrans import SERVER_KEY, PlayedMidtrans
from services.chat.tests.world import World, settings_for
from tests.hearing import NOWHERE, subscribed

from chat.app import build
from common.ids import new_id
from common.runner import Runner

SECRET = "a-secret-that-only-tests-know-0123456789"
SESSIONS = "/api/shared/chat/sessions"


@dataclass
class Person:
    """Somebody signed in."""

    user_id: UUID
    login_id: UUID
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The header of an authenticated call."""
        return {"Authorization": f"Bearer {self.token}"}


class Ear:
    """One open socket: frames by type, as they arrive."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def next(self, kind: str, *, seconds: float = 20) -> dict[str, Any]:
        """Return the data of the next frame of this kind; others before it are kept aside."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.socket.receive_json()
                if frame["type"] == kind:
                    data: dict[str, Any] = frame["data"]
                    return data
                self.heard.append(frame)

    async def session(self, state: str) -> dict[str, Any]:
        """Return the next session frame in this state."""
        while (told := await self.next("session"))["state"] != state:
            pass
        return told

    async def say(self, kind: str, **data: Any) -> None:
        """Send a frame."""
        await self.socket.send_json({"type": kind, "id": "1", "data": data})

    async def write(self, session_id: str, text: str) -> dict[str, Any]:
        """Send a message and wait for its acknowledgement."""
        await self.say("message", session_id=session_id, client_message_id=str(new_id()), text=text)
        return await self.next("message_ack")


class Site:
    """One replica and a client."""

    def __init__(self, world: World, url: str, client: aiohttp.ClientSession) -> None:
        self.world = world
        self.url = url
        self.client = client

    async def person(self, role: str, user_id: UUID | None = None) -> Person:
        """Sign somebody in, as auth would."""
        user, login, now = user_id or new_id(), new_id(), datetime.now(UTC)
        await self.world.admin.execute(
            "INSERT INTO auth.logins (login_id, user_id, role, rotated_at, device_key, network,"
            " user_agent, created_at, last_used_at, expires_at, absolute_expires_at)"
            " VALUES ($1, $2, $3, $4, $5, 'x', 'x', $4, $4, $6, $6)",
            login,
            user,
            role,
            now,
            b"0" * 32,
            now + timedelta(days=1),
        )
        claims = {
            "iss": "temani",
            "aud": "control" if role == "operator" else "app",
            "sub": str(user),
            "sid": str(login),
            "role": role,
            "gen": 1,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 600,
            "jti": new_id().hex,
        }
        token = jwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt"})
        return Person(user, login, token)

    async def pair(self, **options: Any) -> tuple[str, Person, Person]:
        """Make a session that waits for its payment, and sign both parties in."""
        story = await self.world.pending(**options)
        customer = await self.person("customer", story.session.customer_id)
        mitra = await self.person("mitra", story.session.mitra_id)
        return str(story.session.id), customer, mitra

    async def call(
        self, who: Person | None, method: str, path: str, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Call a route; return status and body."""
        headers = ({} if who is None else who.headers) | options.pop("headers", {})
        async with self.client.request(
            method, self.url + path, headers=headers, **options
        ) as answer:
            body = await answer.json(content_type=None) if answer.status != 204 else {}
            return answer.status, body

    async def pay(
        self, who: Person, session_id: str, provider: PlayedMidtrans, extension: str = ""
    ) -> dict[str, Any]:
        """Pay for a session (or an extension) and deliver the provider's notification."""
        path = f"/api/customer/chat/sessions/{session_id}{extension}/payment"
        status, payment = await self.call(who, "POST", path)
        assert status == 200, payment
        status, noted = await self.notify(provider.notification(payment["order_id"], "settlement"))
        assert (status, noted) == (200, {"status": "ok"})
        return payment

    async def notify(self, notification: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Deliver a notification as the provider would."""
        return await self.call(
            None, "POST", "/api/payments/midtrans/notification", json=notification
        )

    @contextlib.asynccontextmanager
    async def listening(
        self, who: Person, cursor: dict[str, int] | None = None
    ) -> AsyncIterator[tuple[Ear, dict[str, Any]]]:
        """Open a socket; yields it with its state frame."""
        async with self.client.ws_connect(self.url + "/api/shared/chat/ws") as socket:
            auth: dict[str, Any] = {"type": "auth", "token": who.token}
            await socket.send_json(auth | ({} if cursor is None else {"cursor": cursor}))
            ear = Ear(socket)
            yield ear, await ear.next("state")


@contextlib.asynccontextmanager
async def serving(
    world: World,
    provider: PlayedMidtrans,
    *,
    valkey_url: str | None = None,
    nats_url: str = NOWHERE,
    **changes: Any,
) -> AsyncIterator[Site]:
    """Serve chat on a free port, with the given servers or without them."""
    settings = settings_for(
        database_url=world.database.url("chat"),
        valkey_url=valkey_url,
        nats_url=nats_url,
        token_algorithm="HS256",
        token_secret=SECRET,
        replica=f"test-{new_id().hex[:8]}",
        payment_snap_url=f"{provider.url}/snap/v1",
        payment_api_url=f"{provider.url}/v2",
        payment_server_key=SERVER_KEY,
        payment_timeout_seconds=20,
        **changes,
    )
    runner = Runner()
    listener: web.AppRunner | None = None
    try:
        app = await build(settings, runner)
        listener = web.AppRunner(app, shutdown_timeout=1)
        await listener.setup()
        site = web.TCPSite(listener, "127.0.0.1", 0)
        await site.start()
        if nats_url != NOWHERE:
            await subscribed(runner)
        (address,) = listener.addresses
        async with aiohttp.ClientSession() as client:
            yield Site(world, f"http://127.0.0.1:{address[1]}", client)
    finally:
        if listener is not None:
            await listener.cleanup()
        await runner.stop(budget=20)
