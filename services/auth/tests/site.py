"""A whole auth replica in this process, a provider speaking Fazpass' words, and a client."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import nats
from aiohttp import web
from nats.errors import NoRespondersError
from services.auth.tests.world import settings_for
from tests.hearing import NOWHERE
from tests.support import TestDatabase

from auth.app import build
from auth.app.service import open_hasher
from auth.domain.passwords import PasswordPolicy
from auth.handlers.operators import OperatorMaking
from auth.settings import Settings
from auth.store import PgStore
from auth.subscriptions import SETTLE_DUE
from common.runner import Runner
from common.testing import eventually
from common.wiring import open_database

EMAIL = "boss@temani.test"
PASSWORD = "correct horse battery staple"
_addresses = itertools.count(1)


@dataclass
class Provider:
    """Answers POST /v1/otp/send as Fazpass does; misbehaves as told."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    answer: str = "ok"
    ended: int = 0
    """How often it was done with being silent or slow of speech, half a minute later."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Take one message."""
        self.received.append(await request.json())
        self.headers.append(request.headers.get("Authorization", ""))
        refusal = {"status": False, "message": "no balance", "code": "4000009"}
        match self.answer:
            case "refused":
                return web.json_response(refusal)
            case "error":
                return web.json_response(refusal, status=500)
            case "html":
                return web.Response(text="<html>bad gateway</html>", content_type="text/html")
            case "slow":
                await asyncio.sleep(0.5)
            case "silent":
                await asyncio.sleep(30)
                self.ended += 1
            case "dribble":
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(60):
                    await response.write(b" ")
                    await asyncio.sleep(0.5)
                self.ended += 1
                return response
            case "huge":
                return web.Response(body=b" " * 200_000)
            case "drop":
                assert request.transport is not None
                request.transport.abort()
        data = {"id": "otp-id-1", "otp_length": 6, "channel": "WA", "provider": "x"}
        return web.json_response({"status": True, "message": "sent", "data": data})

    def last_code(self) -> str:
        """Return the code of the last message."""
        return str(self.received[-1]["otp"])


@contextlib.asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """Run the provider."""
    played = Provider()
    app = web.Application()
    app.router.add_post("/v1/otp/send", played.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    played.url = await _listening(runner)
    yield played
    await runner.cleanup()


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]
    text: str


class Client:
    """An app at an address of its own."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self.address = f"10.9.{next(_addresses) // 250}.{next(_addresses) % 250 + 1}"
        self.token: str | None = None

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request, as the gateway would pass it on."""
        sent = {"X-Forwarded-For": self.address, **headers}
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        async with self.http.request(method, self.url + path, json=body, headers=sent) as answer:
            text = await answer.text()
            parsed = await answer.json(content_type=None) if text else {}
            return Answer(answer.status, parsed, dict(answer.headers), text)


class Site:
    """One replica."""

    def __init__(self, url: str, http: aiohttp.ClientSession, provider: Provider) -> None:
        self.url = url
        self.http = http
        self.provider = provider

    def client(self) -> Client:
        """Return a new app."""
        return Client(self.url, self.http)

    async def ask(
        self, client: Client, phone: str, *, role: str = "customer", **more: Any
    ) -> Answer:
        """Ask for a code."""
        body = {"phone": phone, "role": role, "device_id": "d", **more}
        return await client.call("POST", "/api/auth/otp/request", body)

    async def sign_in(self, phone: str, *, role: str = "customer") -> tuple[Client, Answer]:
        """Sign somebody in with a code."""
        client = self.client()
        before = len(self.provider.received)
        asked = await self.ask(client, phone, role=role)
        assert asked.status == 202, asked
        await eventually(lambda: len(self.provider.received) > before)
        body = {
            "challenge_id": asked.body["challenge_id"],
            "phone": phone,
            "code": self.provider.last_code(),
            "device_id": "d",
        }
        tokens = await client.call("POST", "/api/auth/otp/verify", body)
        assert tokens.status == 200, tokens
        client.token = tokens.body["access_token"]
        return client, tokens

    async def operator(self) -> Client:
        """Sign an operator in."""
        client = self.client()
        body = {"email": EMAIL, "password": PASSWORD, "device_id": "desk"}
        tokens = await client.call("POST", "/api/control/auth/login", body)
        assert tokens.status == 200, tokens
        client.token = tokens.body["access_token"]
        return client


def site_settings(
    database: TestDatabase,
    folder: Path,
    played: Provider,
    *,
    nats_url: str = NOWHERE,
    valkey_url: str | None = None,
    **changes: Any,
) -> Settings:
    """Return the settings of a replica."""
    given = {
        "database_url": database.url("auth"),
        "nats_url": nats_url,
        "valkey_url": valkey_url,
        "otp_provider_url": played.url,
        "otp_provider_timeout_seconds": 10,
        "revoked_keys_seconds": 0.2,
        **changes,
    }
    return settings_for(folder, **given)


async def make_operator(settings: Settings, runner: Runner) -> None:
    """Make the operator of these tests."""
    making = OperatorMaking(
        store=PgStore(db=await open_database("auth", settings, runner)),
        hasher=open_hasher(settings, runner),
        policy=PasswordPolicy(),
    )
    await making.create(email=EMAIL, password=PASSWORD)


@contextlib.asynccontextmanager
async def running(settings: Settings, played: Provider) -> AsyncIterator[Site]:
    """Run a replica, with one operator."""
    runner = Runner()
    app = await build(settings, runner)
    await make_operator(settings, runner)
    server = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await server.setup()
    url = await _listening(server)
    if settings.nats_url != NOWHERE:
        await _heard(settings.nats_url)
    try:
        async with aiohttp.ClientSession() as http:
            yield Site(url, http, played)
    finally:
        await server.cleanup()
        await runner.stop(budget=20)


async def _heard(nats_url: str) -> None:
    """Wait until the replica hears: what is said to it before that is lost."""
    asker = await nats.connect(nats_url)

    async def answered() -> bool:
        try:
            await asker.request(SETTLE_DUE, b'{"items": []}', timeout=10)
        except NoRespondersError:
            return False
        return True

    await eventually(answered)
    await asker.close()


async def _listening(server: web.AppRunner) -> str:
    """Listen on a port that the kernel chooses; return the address."""
    await web.TCPSite(server, "127.0.0.1", 0).start()
    host, port = server.addresses[0]
    return f"http://{host}:{port}"
