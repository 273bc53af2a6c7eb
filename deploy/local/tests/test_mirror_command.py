"""temani mirror drift and reseed: what is said, to whom, and with which exit code."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from deploy.local.tests.gateway import serving

from temani import running
from temani.main import main

OK = {"state": "ok", "reason": None, "since": "2026-01-31T12:00:00Z", "advice": None}
AWAY = {**OK, "state": "away", "reason": "refused", "advice": "Postgres answers, slower."}
LOOK = {"mitras": 3, "found": 1, "healed": 1, "ended_at": "2026-01-31T12:00:01Z", "seconds": 1.5}
ROW = {
    "drift_id": "d",
    "mitra_id": "m",
    "display_name": "Sari",
    "fact": "online",
    "cause": "wrong",
    "mirror": None,
    "postgres": "True",
    "found_at": "2026-01-31T12:00:00Z",
    "at_most_seconds": 2.25,
    "found_by": "reconcile",
}


class Gateway:
    """Plays availability behind the gateway: the answers of a reseed in order."""

    def __init__(self) -> None:
        self.mirror: dict[str, Any] = OK
        self.answers: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        """Return its routes."""
        return [
            web.get("/api/control/availability/drift", self.drift),
            web.post("/api/control/availability/reseed", self.order),
            web.get("/api/control/availability/reseeds/one", self.progress),
        ]

    async def drift(self, request: web.Request) -> web.Response:
        """Show a row."""
        self.asked.append(str(request.rel_url.query.get("limit")))
        page = {"items": [ROW], "next_cursor": None}
        return web.json_response(
            {"mirror": self.mirror, "last_turn": LOOK, "last_reseed": None, "recent": page}
        )

    async def order(self, _: web.Request) -> web.Response:
        """Start a reseed."""
        return web.json_response({"state": "started", "reseed_id": "one"}, status=202)

    async def progress(self, _: web.Request) -> web.Response:
        """Go on by one answer; the last one stays."""
        one = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(one)


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway that the command finds."""
    played = Gateway()
    monkeypatch.setattr("temani.commands.mirror._LOOK_SECONDS", 0.01)
    async with serving(played.routes(), monkeypatch):
        yield played


def progress(state: str, mitras: int = 0, **more: Any) -> dict[str, Any]:
    """Say how far a reseed is."""
    over = {"healed": None, "strangers": None, "error": None, "advice": None}
    return {"reseed_id": "one", "state": state, "total": 9, "mitras": mitras, **over, **more}


async def temani(*words: str) -> int:
    """Run the command as a shell would; return its exit code."""
    return await asyncio.to_thread(main, ["mirror", *words])


@pytest.mark.req("AV-15")
async def test_drift_is_a_page_for_people(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """State, last looks and each row; exit code 0 while the mirror answers."""
    assert await temani("drift", "--limit", "7") == 0
    said = capsys.readouterr().out
    assert "mirror ok, since 2026-01-31" in said
    assert "last turn: 3 mitras in 1.5 s, 1 found, 1 healed" in said
    assert "online  wrong  True      -       reconcile  2.2 s" in said
    assert gateway.asked == ["7"]


@pytest.mark.req("AV-15")
async def test_drift_fails_while_postgres_answers(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the reason and what helps; the same as JSON for a program."""
    gateway.mirror = AWAY
    assert await temani("drift") == 1
    assert "mirror away: refused" in (said := capsys.readouterr().out)
    assert "Postgres answers, slower." in said
    assert await temani("drift", "--json") == 1
    assert json.loads(capsys.readouterr().out)["mirror"]["state"] == "away"


@pytest.mark.req("AV-09")
async def test_a_reseed_is_waited_for(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress goes to standard error, once each; the outcome to standard output."""
    done = progress("done", 9, healed=4, strangers=1)
    going = [progress("waiting"), progress("waiting"), progress("running", 5), done]
    gateway.answers = list(going)
    assert await temani("reseed") == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == ["waits for another reseed to end", "5 of 9 mitras"]
    assert "9 mitras: 4 facts brought in or mended, 1 strangers removed" in said.out

    gateway.answers = list(going)
    assert await temani("reseed", "--json") == 0
    assert json.loads(capsys.readouterr().out) == done


@pytest.mark.req("AV-09")
async def test_a_reseed_that_fails_says_what_to_do(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 with the reason and the advice; too long: it goes on, and where to look."""
    gateway.answers = [progress("failed", error="away", advice="Order it again.")]
    assert await temani("reseed") == 1
    assert "failed: away. Order it again." in capsys.readouterr().out

    gateway.answers = [progress("running", 1)]
    assert await temani("reseed", "--wait", "0.2") == 1
    assert "temani mirror drift" in capsys.readouterr().err
    assert await temani("reseed", "--wait", "0") == 0
    assert "was ordered (one)" in capsys.readouterr().out


async def test_no_gateway_is_said_in_a_line(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody answers: which command shows what runs; no traceback."""
    stack = running.find()
    monkeypatch.setattr(stack.addresses, "gateway_url", "http://127.0.0.1:1/")
    assert await temani("drift") == 1
    assert "`temani status` shows what runs" in capsys.readouterr().err
    assert gateway.asked == []


@pytest.mark.parametrize("limit", ["0", "201", "many"])
async def test_a_wrong_limit_is_wrong_usage(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, before anything is asked."""
    with pytest.raises(SystemExit) as ended:
        await temani("drift", "--limit", limit)
    assert ended.value.code == 2
    assert "--limit" in capsys.readouterr().err
