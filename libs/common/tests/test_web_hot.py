"""The hot way and the ordinary one are the same to whoever calls: same answers, lines, counts."""

import asyncio
import re
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest
import structlog
from aiohttp import web
from prometheus_client import REGISTRY
from pydantic import BaseModel

from common.db import Unavailable
from common.ids import new_id
from common.limits import Rate, RateLimits
from common.testing import FakeClock
from common.testing.tokens import FakeRevocations, Mint
from common.tokens import KeysUnavailable
from common.web import Context, EdgeRunner, Health, Reply, Routes, build_app, hot

PATH = "/api/beat"
BURST = 4


class Settings:
    """One gateway in front, so that a test may say which address it calls from."""

    trusted_hops = 1


class Inactive(Exception):
    """She was switched off."""

    code: ClassVar[str] = "inactive"


class Beaten(BaseModel):
    """An answer with a text, as JSON escapes it."""

    user_id: UUID
    word: str = 'sé "here"'


@dataclass
class Fault:
    """What happens to a caller: an error of the handler, or of whoever is asked before it."""

    raises: Exception | None = None
    answers: Reply[Beaten] | bytes | None = None


class Site:
    """One application, reachable both ways."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mint = Mint(self.clock)
        self.revocations = FakeRevocations()
        self.faults: dict[UUID, Fault] = {}
        self.ports: dict[str, int] = {}
        self._runners: list[web.AppRunner] = []
        self.lanes: dict[str, hot.ShortWay] = {}

    async def start(self) -> None:
        """Listen twice; one way has its own limiter, so that rates are compared from the start."""
        for way, runner_class in (("hot", EdgeRunner), ("ordinary", _WithoutLanes)):
            app = build_app(
                settings=Settings(),
                service="hot_test",
                title="Hot",
                routes=[self._routes()],
                statuses={Inactive: 403},
                verifier=self.mint.verifier(),
                revocations=self.revocations,  # type: ignore[arg-type]  # the same port
                health=Health(),
                limits=RateLimits(write=Rate(per_second=1, burst=BURST)),
                clock=self.clock,
            )
            (self.lanes[way],) = app[hot.LANES]
            runner = runner_class(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.ports[way] = runner.addresses[0][1]
            self._runners.append(runner)

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    def _routes(self) -> Routes:
        routes = Routes()

        @routes.post(PATH, roles={"mitra"}, raises=(Inactive,), hot=True)
        async def beat(ctx: Context) -> Beaten | Reply[Beaten] | bytes:
            """Take a beat."""
            fault = self.faults.get(ctx.caller.user_id, Fault())
            await asyncio.sleep(0)
            if fault.raises is not None:
                raise fault.raises
            return fault.answers or Beaten(user_id=ctx.caller.user_id)

        return routes

    def token(self, *, fault: Fault | None = None, **claims: Any) -> str:
        """Make a token of a new mitra, with what shall happen to her."""
        user_id = new_id()
        if fault is not None:
            self.faults[user_id] = fault
        return self.mint.token(user_id=user_id, role=claims.pop("role", "mitra"), **claims)

    async def exchange(self, way: str, *requests: bytes) -> bytes:
        """Send requests in one piece each; the last one ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[way])
        if b"Connection: close" not in requests[-1]:
            requests += (b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",)
        async with asyncio.timeout(30):
            for request in requests:
                writer.write(request)
                await asyncio.sleep(0)
            said = await reader.read()
        writer.close()
        return said


class _WithoutLanes(EdgeRunner):
    """Serves everything the ordinary way."""

    async def _make_server(self) -> web.Server:
        del self.app._state[hot.LANES]
        return await super()._make_server()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Both ways, listening."""
    site = Site()
    await site.start()
    yield site
    await site.stop()


def call(token: str | None, *headers: str, line: str = f"POST {PATH} HTTP/1.1") -> bytes:
    """Write a request."""
    authorization = [] if token is None else [f"Authorization: Bearer {token}"]
    lines = [line, "Host: api.test", *authorization, "Content-Length: 0", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def stable(answer: bytes) -> bytes:
    """Take away what differs from answer to answer."""
    answer = re.sub(rb"Date: [^\r]+", b"Date: then", answer)
    return re.sub(rb"X-Request-ID: [0-9a-f]{32}\r", b"X-Request-ID: new\r", answer)


def stable_lines(lines: Sequence[MutableMapping[str, Any]]) -> list[dict[str, Any]]:
    """Take away what differs from line to line."""
    changing = {"ms", "trace_id", "exc_info"}
    return [
        {
            name: "new" if name == "request_id" and len(str(value)) == 32 else value
            for name, value in line.items()
            if name not in changing
        }
        | {"traced": "trace_id" in line, "exc": type(line.get("exc_info")).__name__}
        for line in lines
    ]


def counts() -> dict[str, float]:
    """Return what was counted about the service."""
    found = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.labels.get("service") == "hot_test" and not _is_of_time(sample.name):
                found[f"{sample.name}{sorted(sample.labels.items())}"] = sample.value
    return found


def _is_of_time(name: str) -> bool:
    return name.endswith(("_sum", "_bucket", "_created"))


async def both(site: Site, requests: Sequence[bytes]) -> bytes:
    """Send the same both ways, find everything the same, and return the answers."""
    seen = {}
    for way in ("hot", "ordinary"):
        before = counts()
        with structlog.testing.capture_logs(
            processors=[structlog.contextvars.merge_contextvars]
        ) as lines:
            said = stable(await site.exchange(way, *requests))
        after = counts()
        grown = {name: after[name] - before.get(name, 0.0) for name in after}
        seen[way] = (
            said,
            stable_lines(lines),
            {name: by for name, by in grown.items() if by},
        )

    assert seen["hot"] == seen["ordinary"]
    return seen["hot"][0]


async def test_good_calls(site: Site) -> None:
    """A first call, warm ones, ones with a body: the same bytes, and no line in the log."""
    token = site.token()
    body = (
        call(token).replace(b"Length: 0\r\n", b"Length: 2\r\nContent-Type: text/plain\r\n") + b"hi"
    )
    said = await both(site, [call(token), call(token), body])

    assert said.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert said.count("sé".encode()) == 3


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(raises=Inactive("Ask an operator.")), 403),
        (Fault(raises=Unavailable("host=10.0.0.1", retry_after=2.5)), 503),
        (Fault(raises=asyncpg.DataError("value out of range")), 422),
        (Fault(raises=RuntimeError("secret")), 500),
        (Fault(raises=web.HTTPNotFound()), 404),
        (Fault(answers=Reply(None, status=204)), 204),
        (Fault(answers=Reply(b'{"raw":1}', headers={"X-Own": "yes"})), 200),
        (Fault(answers=b'{"rendered":1}'), 200),
    ],
)
async def test_what_a_handler_may_do(site: Site, fault: Fault, status: int, *, warm: bool) -> None:
    """Every error of the handler has its document and its lines, warm or not."""
    token = site.token(fault=fault)
    said = await both(site, [call(token)] * (2 if warm else 1))

    assert said.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("warm", [False, True])
async def test_logins_that_ended(site: Site, *, warm: bool) -> None:
    """A revoked login is refused at once, also when its token was good a moment ago."""
    login_id = new_id()
    token = site.token(login_id=login_id)
    if warm:
        await both(site, [call(token)])
    site.revocations.revoke([login_id])

    assert (await both(site, [call(token)])).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("warm", [False, True])
async def test_nobody_can_tell_whether_a_login_lives(site: Site, *, warm: bool) -> None:
    """When revocations cannot be seen the answer is 503 with a wait."""
    token = site.token()
    if warm:
        await both(site, [call(token)])
    site.revocations.error = Unavailable("away", retry_after=3)

    assert b"\r\nRetry-After: 3\r\n" in await both(site, [call(token)])


async def test_tokens_end_in_the_cache_too(site: Site) -> None:
    """An expired token is refused, cached or not."""
    token = site.token(life=60)
    await both(site, [call(token)])
    site.clock.advance(71)

    said = await both(site, [call(token)])
    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"token_expired" in said


async def test_keys_that_are_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown token waits for its signer's keys; a known one does not."""
    known = site.token()
    await both(site, [call(known)])

    async def away(*_args: object) -> None:
        raise KeysUnavailable

    monkeypatch.setattr("common.tokens.keys.StaticKeys.key", away)
    assert (await both(site, [call(site.token())])).startswith(b"HTTP/1.1 503 ")
    assert (await both(site, [call(known)])).startswith(b"HTTP/1.1 200 ")


async def test_rates(site: Site) -> None:
    """A burst passes, the next call is told to wait, and whoever waited passes again."""
    token = site.token()
    said = await both(site, [call(token)] * (BURST + 2))

    assert said.count(b"HTTP/1.1 200 OK") == BURST + 1
    assert said.count(b"HTTP/1.1 429 ") == 2
    site.clock.advance(1)
    assert (await both(site, [call(token)])).startswith(b"HTTP/1.1 200 ")


async def test_guesses_are_limited_by_address(site: Site) -> None:
    """Bad tokens spend their address's rate; the one behind the gateway counts."""
    guess = call("nonsense", "X-Forwarded-For: 1.2.3.4, 10.9.8.7")
    said = await both(site, [guess] * (BURST + 1))

    assert (said.count(b"HTTP/1.1 401 "), said.count(b"HTTP/1.1 429 ")) == (BURST, 1)
    other = call("nonsense", "X-Forwarded-For: 10.9.8.8")
    assert (await both(site, [other])).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "make",
    [
        lambda _token: call(None),
        lambda token: call(token[:-6] + "AAAAAA"),
        lambda token: call(token, f"Authorization: Bearer {token}"),
        lambda token: call(None, f"authorization: bEaReR   {token}"),
        lambda token: call(None, f"Authorization: Basic {token}"),
        lambda token: call(token, "X-Request-ID: mine-1"),
        lambda token: call(token, "X-Request-ID: not mine"),
        lambda token: call(token, f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"),
        lambda token: call(token, "Connection: close"),
        lambda token: call(token, "Expect: 100-continue"),
        lambda token: call(token, "Expect: wonders"),
        lambda token: call(token, line=f"POST {PATH} HTTP/1.0"),
        lambda token: call(token, "Connection: keep-alive", line=f"POST {PATH} HTTP/1.0"),
        lambda token: call(token, line=f"POST {PATH}?a=b HTTP/1.1"),
        lambda token: call(token, line=f"POST {PATH}/ HTTP/1.1"),
        lambda token: call(token, line="POST /api/%62eat HTTP/1.1"),
        lambda token: call(token, line=f"POST http://api.test{PATH} HTTP/1.1"),
        lambda token: call(token, line=f"GET {PATH} HTTP/1.1"),
        lambda token: call(token, line=f"HEAD {PATH} HTTP/1.1"),
        lambda token: call(token, line=f"OPTIONS {PATH} HTTP/1.1"),
        lambda token: call(token, line=f"post {PATH} HTTP/1.1"),
        lambda token: call(token, "bad header"),
        lambda token: (
            call(token).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            + b"2\r\nhi\r\n0\r\n\r\n"
        ),
        lambda token: call(token, "Accept-Encoding: gzip", "Origin: https://elsewhere.test"),
    ],
)
@pytest.mark.parametrize("warm", [False, True])
async def test_odd_requests(site: Site, make: Any, *, warm: bool) -> None:
    """Whatever stands in the request, both ways say the same."""
    token = site.token()
    if warm:
        await both(site, [call(token)])

    assert (await both(site, [make(token)])).startswith(b"HTTP/1.")


async def test_wrong_roles(site: Site) -> None:
    """A customer's token opens nothing here, and counts as her request."""
    said = await both(site, [call(site.token(role="customer"))] * 2)

    assert said.count(b"HTTP/1.1 403 ") == 2


async def test_several_requests_in_one_piece(site: Site) -> None:
    """Requests that arrive together are answered in their order, whichever way each goes."""
    token = site.token()
    mixed = call(token) + call(None, line="GET /livez HTTP/1.1") + call("nonsense") + call(token)
    said = await both(site, [mixed])

    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"200", b"401", b"200", b"200"]


async def test_only_everyday_calls_take_the_short_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parity above is worth something: the hot way was taken, and the ordinary was not."""
    taken = []
    answer = hot.Lane.answer

    async def noted(lane: hot.Lane, request: web.Request) -> web.StreamResponse:
        taken.append(lane)
        return await answer(lane, request)

    monkeypatch.setattr(hot.Lane, "answer", noted)
    token = site.token()
    await both(site, [call(token), call(token), call(token, "Expect: 100-continue")])

    assert taken == [site.lanes["hot"]] * 2


@pytest.mark.parametrize("roles", [None, {"mitra"}])
def test_a_hot_route_is_a_plain_one(roles: set[str] | None) -> None:
    """Path parameters, bodies, queries, public routes and other statuses stay ordinary."""
    routes = Routes()

    async def beat(ctx: Context, body: Beaten) -> Beaten:
        del ctx
        return body

    with pytest.raises(TypeError):
        routes.post(PATH, roles=roles, hot=True)(beat)
