"""Promises of the demo's parts: honest records, patient phones, and every path dealt."""

import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from temani.demo.display import render_summary
from temani.demo.history import History, read
from temani.demo.numbers import REQUIRED_PATHS, Numbers, Summary
from temani.demo.opening import ServiceClosed, need_open
from temani.demo.phone import LoggedOut, Phone, Refused, Tokens, Unreachable
from temani.demo.scenes import SCENE_OF, Deck
from temani.demo.world import Span, World

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """A gateway that answers in turn as it was told, and remembers how it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Give the next answer."""
        self.asked.append(request)
        return await self.script.pop(0)(request)


def says(status: int, body: object, **headers: str) -> Answer:
    """Make an answer."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


async def cut(request: web.Request) -> web.StreamResponse:
    """Lose the connection in the middle of a call."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[Gateway, str]]:
    """Lend a scripted gateway and its address."""
    scripted = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield scripted, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
async def phone(gateway: tuple[Gateway, str], tmp_path: Path) -> AsyncIterator[Phone]:
    """Lend a phone that is signed in, with an address of its own."""
    numbers, rng = Numbers(), random.Random(1)
    with History(tmp_path / "bots.jsonl") as history:
        async with aiohttp.ClientSession() as web_session:
            world = World(
                gateway=gateway[1],
                providers=gateway[1],
                rng=rng,
                history=history,
                numbers=numbers,
                deck=Deck(rng),
                web=web_session,
            )
            async with Phone(world, "127.0.3.4", "customer") as lent:
                lent.tokens = Tokens("old", "refresh", "me", time.monotonic() + 60)
                yield lent


async def test_a_call_is_repeated_with_its_key(gateway: tuple[Gateway, str], phone: Phone) -> None:
    """A lost answer and a busy service are asked again, from the same address with the same key."""
    scripted = gateway[0]
    scripted.script = [cut, says(503, {}, **{"Retry-After": "0"}), says(201, {"id": 1})]
    answer = await phone.call("POST", "/x", {"a": 1}, key="k")

    assert answer == {"id": 1}
    assert [one.headers["Idempotency-Key"] for one in scripted.asked] == ["k", "k", "k"]
    assert {one.remote for one in scripted.asked} == {"127.0.3.4"}


async def test_a_refusal_after_a_lost_answer_is_not_sure(
    gateway: tuple[Gateway, str], phone: Phone
) -> None:
    """A refusal counts as certain only when no earlier attempt may have been done."""
    scripted = gateway[0]
    scripted.script = [says(409, {"code": "taken"}), cut, says(409, {"code": "taken"})]
    with pytest.raises(Refused) as first:
        await phone.call("POST", "/x")
    with pytest.raises(Refused) as second:
        await phone.call("POST", "/x")

    assert (first.value.code, first.value.sure) == ("taken", True)
    assert (second.value.code, second.value.sure) == ("taken", False)


async def test_an_expired_token_is_renewed(gateway: tuple[Gateway, str], phone: Phone) -> None:
    """An expired token is rotated once and the call repeated with the new one."""
    scripted = gateway[0]
    fresh = {
        "access_token": "new",
        "refresh_token": "r2",
        "expires_in": 600,
        "user": {"user_id": "me"},
    }
    scripted.script = [says(401, {"code": "token_expired"}), says(200, fresh), says(200, {"a": 1})]
    answer = await phone.call("GET", "/x")

    assert answer == {"a": 1}
    assert [one.path for one in scripted.asked] == ["/x", "/api/auth/refresh", "/x"]
    assert scripted.asked[-1].headers["Authorization"] == "Bearer new"


async def test_a_revoked_login_ends_the_phone(gateway: tuple[Gateway, str], phone: Phone) -> None:
    """A revoked login is not refreshed: the person must sign in again."""
    gateway[0].script = [says(401, {"code": "login_revoked"})]
    with pytest.raises(LoggedOut):
        await phone.call("GET", "/x")
    with pytest.raises(LoggedOut):
        await phone.call("GET", "/x")


async def test_patience_ends(gateway: tuple[Gateway, str], phone: Phone) -> None:
    """When nobody answers for long, the outcome is unknown."""
    gateway[0].script = [cut] * 50
    with pytest.raises(Unreachable):
        await phone.call("GET", "/x", patience=0.3)


async def test_a_server_error_is_remembered(gateway: tuple[Gateway, str], phone: Phone) -> None:
    """An internal error is never retried in silence: the summary names the route."""
    gateway[0].script = [says(500, {"code": "internal"})]
    path = "/api/x/01a20894-79a1-7240-a43f-b270bdd91b7d/y"
    with pytest.raises(Refused):
        await phone.call("GET", path)

    assert dict(phone.world.numbers.surprises) == {"500 from GET /api/x/{id}/y": 1}


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            {"why": "switch", "note": "New servers", "opens_at": None},
            ["maintenance switch is on (note: 'New servers')", "nobody planned", "'Open again'"],
        ),
        (
            {"why": "hours", "note": None, "opens_at": "2027-01-04T01:00:00Z"},
            ["outside of the service hours", "it opens at 2027-01-04", "'Edit hours'"],
        ),
    ],
)
async def test_a_demo_of_a_closed_service_says_so(
    gateway: tuple[Gateway, str], phone: Phone, now: dict[str, object], words: list[str]
) -> None:
    """Why, until when, and where it is opened, before anybody is hired."""
    gateway[0].script += [says(200, {"now": {"is_open": False, **now}})]

    with pytest.raises(ServiceClosed) as told:
        await need_open(phone)

    assert not [each for each in words if each not in str(told.value)]
    assert f"{gateway[1]}/control/" in str(told.value)


async def test_a_demo_of_an_open_service_goes_on(
    gateway: tuple[Gateway, str], phone: Phone
) -> None:
    """It asked once."""
    gateway[0].script += [says(200, {"now": {"is_open": True}})]

    await need_open(phone)

    assert gateway[0].asked[0].path == "/api/control/availability/service-hours"


def test_history_survives_a_crash(tmp_path: Path) -> None:
    """Every whole line is read back; one that a crash cut off is left out."""
    with History(tmp_path / "a.jsonl") as history:
        history.begin("me", "ask", request="r").ok(state="open")
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"id": "torn')
    lines = list(read([tmp_path]))

    assert [line["type"] for line in lines] == ["invoke", "ok"]
    assert lines[1]["state"] == "open"


@pytest.mark.req("OP-03")
def test_every_path_is_dealt() -> None:
    """The first deal of a run has a scene for each path that customers lead to."""
    deck = Deck(random.Random(3))
    dealt = {deck.deal().name for _ in Deck.FIRST}

    assert set(SCENE_OF.values()) <= dealt
    assert set(SCENE_OF) <= set(REQUIRED_PATHS)


def test_a_missing_path_is_dealt_again() -> None:
    """A path that nobody walked yet comes up again soon."""
    deck = Deck(random.Random(3))
    for _ in Deck.FIRST:
        deck.deal()
    later = [deck.deal(["reroute"]).name for _ in range(12)]

    assert "no_show" in later


def test_the_same_seed_deals_the_same() -> None:
    """A seed repeats the scenes."""
    first, second = (Deck(random.Random(9)) for _ in range(2))

    assert [first.deal() for _ in range(40)] == [second.deal() for _ in range(40)]


def test_a_span_takes_its_ends_in_any_order() -> None:
    """A latency is measured once, whichever end is seen first."""
    numbers = Numbers()
    span = Span(numbers, "x")
    now = time.monotonic()
    span.begin("a", now)
    span.end("a")
    span.end("b")
    span.begin("b", now)

    assert numbers.latencies()["x"]["count"] == 2


def test_percentiles() -> None:
    """The 99th percentile of a hundred values is the 99th, the median the 50th."""
    numbers = Numbers()
    for value in range(1, 101):
        numbers.took("x", value / 1000)

    assert numbers.latencies() == {"x": {"p50": 50.0, "p99": 99.0, "count": 100}}


def make_summary(**changed: object) -> Summary:
    """Make a summary of a good run."""
    values: dict[str, object] = {
        "seed": 1,
        "seconds": 60.0,
        "sessions_completed": 40,
        "sessions_extended": 4,
        "messages": 500,
        "requests": 60,
        "violations": 0,
        "violation_texts": [],
        "latency_ms": {"beacon": {"p50": 1.0, "p99": 2.0, "count": 60}},
        "paths_walked": dict.fromkeys(REQUIRED_PATHS, 1),
        "missing_paths": [],
        "counts": {},
        "surprises": {},
        "invariants": {"I1": "held"},
        "history": "somewhere",
    }
    return Summary(**{**values, **changed})  # type: ignore[arg-type]  # values of a test


def test_the_summary_says_whether_it_was_good() -> None:
    """A run is good when every invariant held and every required path was walked."""
    assert make_summary().ok
    assert not make_summary(violations=1, violation_texts=["I1: x"]).ok
    assert not make_summary(missing_paths=["reroute"]).ok


def test_the_summary_can_be_read() -> None:
    """People read counts, waits, invariants and the verdict; machines read JSON."""
    text = render_summary(make_summary(missing_paths=["reroute"]))

    assert "40 sessions completed" in text
    assert "one winner a request" in text
    assert "not walked: reroute" in text
    assert json.loads(json.dumps(make_summary().as_json()))["latency_ms"]["beacon"]["p99"] == 2.0
