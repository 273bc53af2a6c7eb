"""The gateway: routes by prefix, trusts no caller, and answers for what is away."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from common.testing import eventually
from temani import gateway, ports

_PUBLIC = ("auth", "availability", "pairing")


@dataclass
class Upstream:
    """A replica that answers with what reached it; `refuse` makes it say 503 to everything."""

    name: str
    port: int
    refuse: bool = False
    seen: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Say what came."""
        if request.path == "/readyz":
            return web.Response()
        body = await request.read()
        self.seen.append(f"{request.method} {request.path}")
        status = 503 if self.refuse else 200
        headers = {"Server": "secret/1.0"}
        value = {"name": self.name, "headers": dict(request.headers), "bytes": len(body)}
        return web.json_response(value, status=status, headers=headers)


@dataclass
class Door:
    """The running gateway and what is behind it."""

    http: aiohttp.ClientSession
    upstreams: dict[str, Upstream]
    port: int


@pytest.fixture(scope="module")
async def door(scratch: Path) -> AsyncIterator[Door]:
    """A gateway with one replica of each service, two of pairing, and no chat."""
    names = [*_PUBLIC, "pairing-2"]
    upstreams = {name: Upstream(name, ports.free_port()) for name in names}
    runners = []
    for upstream in upstreams.values():
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", upstream.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", upstream.port).start()
        runners.append(runner)
    lists = {name: [upstreams[name].port] for name in _PUBLIC}
    lists["pairing"].append(upstreams["pairing-2"].port)
    lists["chat"] = [ports.free_port()]
    port = ports.free_port()
    env = gateway.environment(
        port=port, admin_port=ports.free_port(), upstreams=lists, home=scratch
    )
    program = gateway.program(env=env, port=port, log=scratch / "gateway.log", home=scratch)
    await program.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        yield Door(http=http, upstreams=upstreams, port=port)
    await program.stop()
    for runner in runners:
        await runner.cleanup()


def test_the_caddyfile_is_valid(scratch: Path) -> None:
    """Caddy accepts the Caddyfile, formatted as Caddy formats it."""
    env = gateway.environment(port=8080, admin_port=8019, upstreams={}, home=scratch)
    done = subprocess.run(gateway.command("validate"), env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    caddy = gateway.command()[0]
    formatted = subprocess.run(
        [caddy, "fmt", str(gateway.CADDYFILE)], capture_output=True, check=False
    )
    assert formatted.stdout == gateway.CADDYFILE.read_bytes()


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api/auth/otp/request", "auth"),
        ("/.well-known/jwks.json", "auth"),
        ("/api/control/auth/login", "auth"),
        ("/api/control/mitras", "auth"),
        ("/api/control/mitras/1", "auth"),
        ("/api/control/audit", "auth"),
        ("/api/control/settings/auth", "auth"),
        ("/api/mitra/status", "availability"),
        ("/api/mitra/status/heartbeat", "availability"),
        ("/api/customer/availability", "availability"),
        ("/api/control/availability/summary", "availability"),
        ("/api/customer/pairing/1", "pairing"),
        ("/api/mitra/offers", "pairing"),
        ("/api/shared/pairing/ws", "pairing"),
        ("/api/control/pairing/requests", "pairing"),
    ],
)
async def test_a_path_goes_to_its_owner(door: Door, path: str, owner: str) -> None:
    """Each prefix has one owner, and nothing is stripped from the path."""
    async with door.http.get(path) as answer:
        assert (await answer.json())["name"].split("-")[0] == owner
    assert any(f"GET {path}" in each.seen for each in door.upstreams.values())


@pytest.mark.parametrize(
    "path", ["/metrics", "/livez", "/readyz", "/statusz", "/openapi.json", "/api", "/api/authx"]
)
async def test_what_is_not_public_is_not_found(door: Door, path: str) -> None:
    """Pages for operators of the machine and unknown paths are a problem document with 404."""
    async with door.http.get(path) as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["code"] == "not_found"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-ID"]


async def test_no_way_round_by_dots(door: Door) -> None:
    """A path that climbs out of its prefix does not reach a service's inner pages."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /api/auth/../../metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 404 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert "GET /metrics" not in door.upstreams["auth"].seen


async def test_no_caller_says_who_it_is(door: Door) -> None:
    """Identity headers are dropped, and the address that is passed on is the real one."""
    lies = {
        "X-User-Id": "1",
        "X-User-Role": "operator",
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
    }
    connector = aiohttp.TCPConnector(local_addr=("127.0.7.9", 0))
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{door.port}", connector=connector) as http,
        http.get("/api/auth/me", headers={**lies, "X-Request-ID": "given"}) as answer,
    ):
        heard = (await answer.json())["headers"]
        assert "Server" not in answer.headers
        assert "Via" not in answer.headers
    assert heard["X-Forwarded-For"] == "127.0.7.9"
    assert heard["X-Request-ID"] == "given"
    assert not {"X-User-Id", "X-User-Role", "X-Real-IP", "Forwarded"} & set(heard)


@pytest.mark.req("OP-09")
async def test_a_large_body_is_refused_and_hurts_nobody(door: Door) -> None:
    """More than 64 KiB is 413, declared or chunked, and the replica goes on serving others."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(8192)

    for body in (bytes(65_537), chunks()):
        async with door.http.post("/api/auth/x", data=body) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == "body_too_large"
    async with door.http.post("/api/auth/x", data=bytes(65_536)) as answer:
        assert (await answer.json())["bytes"] == 65_536


@pytest.mark.req("OP-09")
@pytest.mark.parametrize("length", [65_537, 300_000, 10**10])
async def test_a_body_that_says_it_is_too_large_is_not_waited_for(door: Door, length: int) -> None:
    """Whoever announces too much is refused at once: no replica hears of it, nothing is held."""
    for upstream in door.upstreams.values():
        upstream.seen.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    head = f"POST /api/auth/x HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    try:
        writer.write(head.encode() + b"a" * 1000)
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"}")
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    assert not any(upstream.seen for upstream in door.upstreams.values())


@pytest.mark.req("OP-08")
async def test_a_refusal_is_retried_for_reads_only(door: Door) -> None:
    """While one replica says 503, every GET finds the other; a POST is never sent twice."""
    second = door.upstreams["pairing-2"]
    second.refuse = True
    try:
        for _ in range(10):
            async with door.http.get("/api/mitra/offers") as answer:
                assert answer.status == 200
        for upstream in door.upstreams.values():
            upstream.seen.clear()
        statuses = []
        for _ in range(10):
            async with door.http.post("/api/mitra/offers/1/accept") as answer:
                statuses.append(answer.status)
        assert set(statuses) == {200, 503}
        assert sum(len(upstream.seen) for upstream in door.upstreams.values()) == 10
    finally:
        second.refuse = False


async def test_a_service_that_is_away_is_a_problem_document(door: Door) -> None:
    """Nobody listening is 503 with a time to come back, not a bare 502."""
    async with door.http.get("/api/customer/tiers") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["code"] == "unavailable"


async def test_the_front_page_needs_nothing_from_elsewhere(door: Door) -> None:
    """The landing page is served with its style, and its policy allows nothing foreign."""
    async with door.http.get("/") as answer:
        page = await answer.text()
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    async with door.http.get("/style.css") as answer:
        assert answer.status == 200


async def test_the_operators_page_is_served_under_its_own_policy(door: Door) -> None:
    """It may run and draw only what lies beside it; a new release is seen at once, not mixed."""
    async with door.http.get("/control", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, "/control/")
    async with door.http.get("/control/") as answer:
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Frame-Options"] == "DENY"
    async with door.http.get("/control/app/main.js") as answer:
        assert answer.content_type == "text/javascript"
        tag = answer.headers["ETag"]
    async with door.http.get("/control/app/main.js", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/control/app/"), ("GET", "/control/nothing.js"), ("POST", "/control/")],
)
async def test_the_operators_page_is_its_files_only(door: Door, method: str, path: str) -> None:
    """No listing of folders, no other file, nothing but reading: else the usual 404."""
    async with door.http.request(method, path) as answer:
        assert answer.status == 404
        assert (await answer.json())["code"] == "not_found"
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /control/../../README.md HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 404 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_breaking_caller_takes_no_replica_out(door: Door) -> None:
    """Callers that leave in the middle of a body do not make the gateway shun the replica."""
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"POST /api/auth/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhalf a body"
        )
        await writer.drain()
        writer.transport.abort()
        del reader

    async def served() -> bool:
        async with door.http.get("/api/auth/me") as answer:
            assert answer.status == 200
            return True

    assert await eventually(served, timeout=2)


def test_every_public_service_has_an_upstream_variable() -> None:
    """The Caddyfile and the launcher agree on the names of the upstream lists."""
    text = gateway.CADDYFILE.read_text()
    env = gateway.environment(
        port=1, admin_port=2, upstreams={name: [1] for name in gateway.PUBLIC_SERVICES}, home=Path()
    )
    for name in env.keys() - {"PATH", "HOME"}:
        assert "{$" + name in text
    assert Path(env["GATEWAY_SITE"]).is_dir()
    assert (Path(env["GATEWAY_CONTROL"]) / "index.html").is_file()
