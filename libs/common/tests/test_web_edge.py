"""What surrounds a handler: tokens, roles, rates, errors, ids, health and metrics."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from pydantic import BaseModel

from common.db import Unavailable
from common.ids import new_id
from common.limits import Rate, RateLimits
from common.testing import FakeClock, eventually, load_problem
from common.testing.serving import EdgeTestServer
from common.testing.tokens import FakeRevocations, Mint
from common.tokens import KeysUnavailable, StaticKeys, Verifier
from common.web import Context, EdgeRunner, Health, Reply, Routes, build_app, serve_messages
from temani.ports import free_port

Client = TestClient[Any, Any]


class Settings:
    """What the edge reads."""

    trusted_hops = 0


class Taken(Exception):
    """Another one was faster."""

    code: ClassVar[str] = "taken"

    def fields(self) -> dict[str, Any]:
        """Tell who."""
        return {"winner": "somebody", "code": "overridden"}


class TakenForGood(Taken):
    """Another one was much faster."""

    code: ClassVar[str] = "taken_for_good"


class Me(BaseModel):
    """Who asks."""

    user_id: UUID


routes = Routes(tag="edge")
ERRORS: dict[str, Exception] = {
    "taken": Taken("She accepted first."),
    "child": TakenForGood(),
    "database": Unavailable("host=10.0.0.1 password=x", retry_after=2.5),
    "keys": KeysUnavailable(),
    "data": asyncpg.DataError("value out of int32 range"),
    "bug": RuntimeError("secret detail"),
}


@routes.get("/api/me", roles={"customer", "mitra"})
async def me(ctx: Context) -> Me:
    """Show who asks."""
    return Me(user_id=ctx.caller.user_id)


@routes.get("/api/fail/{how}", raises=(Taken, TakenForGood))
async def fail(how: str) -> None:
    """Fail."""
    raise ERRORS[how]


@routes.post("/api/sensitive", limit="sensitive")
async def sensitive(ctx: Context) -> Reply[Me]:
    """Answer with its own status and headers."""
    del ctx
    return Reply(Me(user_id=UUID(int=1)), status=202, headers={"Location": "/api/me"})


class Stage:
    """An application with everything around it that a test may turn."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mint = Mint(self.clock)
        self.revocations = FakeRevocations()
        self.health = Health()
        self.app = build_app(
            settings=Settings(),
            service="edge",
            title="Edge",
            routes=[routes],
            statuses={Taken: 409, TakenForGood: 410},
            verifier=self.mint.verifier(),
            revocations=self.revocations,  # type: ignore[arg-type]  # the same port, without servers
            health=self.health,
            limits=RateLimits(read=Rate(per_second=50, burst=20)),
            clock=self.clock,
        )


@pytest.fixture
def stage() -> Stage:
    """A fresh application."""
    return Stage()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    """A client of it."""
    async with TestClient(TestServer(stage.app)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    """Return the header."""
    return {"Authorization": f"Bearer {token}"}


async def test_a_valid_token_names_the_caller(stage: Stage, client: Client) -> None:
    """A handler sees the user of the token."""
    user_id = new_id()
    answer = await client.get("/api/me", headers=bearer(stage.mint.token(user_id=user_id)))

    assert {"user_id": str(user_id)} == await answer.json()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer a b",
        "Bearer x.y.z",
        "bearer \xff",
        "x" * 9000,
    ],
)
async def test_without_a_usable_token_nobody_gets_in(client: Client, header: str) -> None:
    """No header, another scheme or garbage gets 401 with the way to authenticate."""
    answer = await client.get("/api/me", headers={"Authorization": header} if header else {})

    if answer.content_type == "application/problem+json":
        assert (await load_problem(answer))["code"] == "unauthenticated"
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    else:
        # A header beyond 8 KiB is refused by the parser, before any route.
        assert answer.status == 400
        assert len(header) > 8190


async def test_two_authorization_headers_are_none(stage: Stage, client: Client) -> None:
    """Two tokens leave open who asks: 401."""
    twice = [("Authorization", f"Bearer {stage.mint.token()}") for _ in range(2)]
    answer = await client.get("/api/me", headers=twice)

    assert answer.status == 401


async def test_expired_and_revoked_logins_have_their_own_codes(
    stage: Stage, client: Client
) -> None:
    """An app tells "refresh" from "sign in again" by the code."""
    login = new_id()
    token = stage.mint.token(login_id=login)
    stage.revocations.revoked.add(login)
    revoked = await client.get("/api/me", headers=bearer(token))
    stage.clock.advance(700)
    expired = await client.get("/api/me", headers=bearer(token))

    assert (revoked.status, (await load_problem(revoked))["code"]) == (401, "login_revoked")
    assert (expired.status, (await load_problem(expired))["code"]) == (401, "token_expired")


@pytest.mark.req("AU-05")
async def test_another_role_is_forbidden(stage: Stage, client: Client) -> None:
    """A token of the control center opens no route of the apps."""
    answer = await client.get("/api/me", headers=bearer(stage.mint.token(role="operator")))

    assert (answer.status, (await load_problem(answer))["code"]) == (403, "forbidden")


async def test_when_nobody_can_tell_it_is_not_accepted(stage: Stage, client: Client) -> None:
    """With keys or revocations away the answer is 503 and a time to come back, never 200 or 401."""
    stage.revocations.error = Unavailable(retry_after=3)
    answer = await client.get("/api/me", headers=bearer(stage.mint.token()))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
    assert (await load_problem(answer))["code"] == "unavailable"


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("taken", 409, "taken"),
        ("child", 410, "taken_for_good"),
        ("database", 503, "unavailable"),
        ("keys", 503, "unavailable"),
        ("data", 422, "invalid_value"),
        ("bug", 500, "internal"),
    ],
)
async def test_errors_become_problems(client: Client, how: str, status: int, code: str) -> None:
    """Each error class has its status and code; ours lose their detail, and 503 says when."""
    answer = await client.get(f"/api/fail/{how}")
    problem = await load_problem(answer)

    assert (status, code) == (answer.status, problem["code"])
    assert "secret" not in await answer.text()
    assert "password" not in await answer.text()
    assert (status == 503) == ("Retry-After" in answer.headers)


async def test_an_error_tells_its_fields_and_detail(client: Client) -> None:
    """Named fields of an error travel with the problem, but cannot replace its own members."""
    problem = await load_problem(await client.get("/api/fail/taken"))

    assert (problem["winner"], problem["code"]) == ("somebody", "taken")
    assert problem["detail"] == "She accepted first."


async def test_a_bug_is_logged_with_its_traceback(client: Client) -> None:
    """What the caller is not told stands in the log, beside the request's one line."""
    with structlog.testing.capture_logs() as lines:
        await client.get("/api/fail/bug", headers={"X-Request-ID": "trace-me"})

    (failed,) = [line for line in lines if line["event"] == "request_failed"]
    assert failed["exc_info"] is ERRORS["bug"]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["route"], line["status"], line["problem"]) == ("/api/fail/{how}", 500, "internal")


@pytest.mark.parametrize(("given", "kept"), [("abc-1", 1), ("a b", 0), ("x" * 65, 0)])
async def test_a_request_keeps_its_harmless_id(client: Client, given: str, kept: int) -> None:
    """X-Request-ID comes back as it was sent, or anew when it could spoil a log."""
    answer = await client.get("/livez", headers={"X-Request-ID": given})

    assert kept == (answer.headers["X-Request-ID"] == given)
    assert "Server" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


async def test_rates_are_by_class_and_caller(stage: Stage, client: Client) -> None:
    """The eleventh sensitive call at once gets 429 and a time; reading goes on; waiting helps."""
    statuses = [(await client.post("/api/sensitive")).status for _ in range(10)]
    refused = await client.post("/api/sensitive")
    reading = await client.get("/api/fail/taken")
    stage.clock.advance(1)
    later = await client.post("/api/sensitive")

    assert statuses == [202] * 10
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert (await load_problem(refused))["code"] == "rate_limited"
    assert (reading.status, later.status) == (409, 202)


async def test_users_do_not_pay_for_each_other(stage: Stage, client: Client) -> None:
    """Behind one address each user has a rate of its own; guessing tokens shares the address's."""
    first, second = stage.mint.token(), stage.mint.token()
    for _ in range(20):
        await client.get("/api/me", headers=bearer(first))
    spent = await client.get("/api/me", headers=bearer(first))
    other = await client.get("/api/me", headers=bearer(second))
    guesses = [(await client.get("/api/me", headers=bearer("a.b.c"))).status for _ in range(21)]

    assert (spent.status, other.status) == (429, 200)
    assert guesses == [401] * 20 + [429]


async def test_readiness_is_about_this_replica(stage: Stage, client: Client) -> None:
    """Red while starting or draining; a shared outage shows elsewhere."""

    async def away() -> str | None:
        return "connection refused"

    async def broken() -> str | None:
        raise RuntimeError

    stage.health.depend("postgres", away)
    stage.health.depend("nats", broken)
    starting = await client.get("/readyz")
    stage.health.ready = True
    ready = await client.get("/readyz")
    status = await (await client.get("/statusz")).json()
    metrics = await (await client.get("/metrics")).text()
    stage.health.draining = True
    leaving = await client.get("/readyz")
    alive = await client.get("/livez")

    assert (starting.status, ready.status, leaving.status, alive.status) == (503, 200, 503, 200)
    assert status["dependencies"] == {
        "postgres": {"up": False, "detail": "connection refused"},
        "nats": {"up": False, "detail": "RuntimeError"},
    }
    assert 'dependency_up{dependency="postgres",service="edge"} 0.0' in metrics


async def test_metrics_have_routes_and_no_ids(client: Client) -> None:
    """Requests are counted by route template and known method only."""
    await client.get("/api/fail/taken")
    await client.get("/api/nobody/an-id-of-mine")
    text = await (await client.get("/metrics")).text()

    assert 'route="/api/fail/{how}",service="edge",status="409"' in text
    assert "an-id-of-mine" not in text
    assert "http_request_seconds_bucket" in text


async def test_the_docs_need_nothing_from_elsewhere(client: Client) -> None:
    """The page names no other host and its policy forbids any."""
    answer = await client.get("/docs")

    assert "://" not in (await answer.text()).replace("http://www.w3.org", "")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_messages_are_shown_beside_the_routes(stage: Stage, tmp_path: Path) -> None:
    """A committed AsyncAPI document is served as it is; a service without one has none."""
    serve_messages(stage.app, tmp_path / "absent.json")
    (tmp_path / "asyncapi.json").write_text('{"asyncapi":"3.0.0"}')
    async with TestClient(TestServer(Stage().app)) as client:
        absent = await client.get("/asyncapi.json")
    serve_messages(stage.app, tmp_path / "asyncapi.json")
    async with TestClient(TestServer(stage.app)) as client:
        present = await client.get("/asyncapi.json")
        document = await present.json()

    assert (absent.status, present.status) == (404, 200)
    assert document == {"asyncapi": "3.0.0"}


async def test_routes_with_roles_need_a_verifier() -> None:
    """A service that forgot its verifier does not start."""
    with pytest.raises(ValueError, match="verifier"):
        build_app(
            settings=Settings(),
            service="x",
            title="X",
            routes=[routes],
            statuses={Taken: 409},
            verifier=None,
            revocations=None,
            health=Health(),
        )


async def test_what_is_no_http_gets_a_problem_and_no_dump(stage: Stage) -> None:
    """A broken request line is answered like everything else; its bytes are not logged."""
    runner = EdgeRunner(stage.app, access_log=None)
    await runner.setup()
    port = free_port()
    from aiohttp import web  # noqa: PLC0415  # only this test listens itself

    await web.TCPSite(runner, "127.0.0.1", port).start()
    with structlog.testing.capture_logs() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer se\x00cret\r\n\r\n")
        answer = await reader.read()
        writer.close()
    await runner.cleanup()

    assert b" 400 Bad Request" in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert await eventually(lambda: any(line["event"] == "malformed_request" for line in lines))
    assert "cret" not in str(lines)


async def test_a_body_that_claims_to_be_packed_is_no_news(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asked for a body here: what it holds is passed over, and the connection goes on."""
    async with TestClient(EdgeTestServer(stage.app)) as client:
        for _ in range(2):
            answer = await client.post(
                "/api/sensitive", data=b"no gzip", headers={"Content-Encoding": "gzip"}
            )
            assert answer.status == 202
        assert answer.connection is None or not answer.connection.transport.is_closing()

    assert [record.message for record in caplog.records if record.name == "aiohttp.server"] == []


def test_static_keys_are_one_source() -> None:
    """The verifier that auth builds for itself takes its own public keys."""
    assert Verifier(keys=StaticKeys({}), algorithm="ES256", clock=FakeClock())
