"""temani sweep brake and confirm: what is said, to whom, and with which exit code."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from deploy.local.tests.gateway import serving

from temani.main import main

pytestmark = pytest.mark.req("SW-01")

ID = "00000000-0000-0000-0000-000000000007"
BRAKE = {
    "brake_id": ID,
    "mitras": 6,
    "online": 7,
    "fresh": 1,
    "needs_operator": True,
    "since": "2026-01-31T12:00:00Z",
    "confirmed_at": None,
    "confirmed_by": None,
}


class Gateway:
    """Plays availability behind the gateway: one stopped pass, or none."""

    def __init__(self) -> None:
        self.brake: dict[str, Any] | None = BRAKE
        self.refusal: web.Response | None = None
        self.confirmed: list[Any] = []

    def routes(self) -> list[web.RouteDef]:
        """Return its routes."""
        return [
            web.get("/api/control/availability/brake", self.read),
            web.post("/api/control/availability/brake/confirm", self.confirm),
        ]

    async def read(self, _: web.Request) -> web.Response:
        """Show what is stopped."""
        return web.json_response({"brake": self.brake, "mitra_ids": []})

    async def confirm(self, request: web.Request) -> web.Response:
        """Take an operator's word, or refuse it."""
        if self.refusal is not None:
            return self.refusal
        self.confirmed.append((request.headers["Authorization"], await request.json()))
        return web.json_response({"brake_id": ID, "mitras": 6})


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway that the command finds."""
    played = Gateway()
    async with serving(played.routes(), monkeypatch):
        yield played


async def temani(*words: str) -> int:
    """Run the command as a shell would; return its exit code."""
    return await asyncio.to_thread(main, ["sweep", *words])


async def test_a_stopped_pass_is_shown_with_what_to_do(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 while it needs an operator, and the command that releases it."""
    assert await temani("brake") == 1
    said = capsys.readouterr().out
    assert "6 of 7 online mitras would go offline at once; 1 are heard" in said
    assert f"temani sweep confirm {ID}" in said
    assert await temani("brake", "--json") == 1
    assert json.loads(capsys.readouterr().out)["brake"] == BRAKE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"needs_operator": False}, "at least half are heard: the next pass"),
        (
            {"needs_operator": False, "confirmed_at": "2026-01-31T12:01:00Z", "confirmed_by": "o"},
            "confirmed by o at 2026-01-31T12:01:00Z",
        ),
        (None, "no pass is stopped"),
    ],
)
async def test_what_needs_nobody_is_no_failure(
    gateway: Gateway,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any] | None,
    words: str,
) -> None:
    """Exit code 0 while it goes on by itself, was confirmed, or nothing is stopped."""
    gateway.brake = None if changes is None else {**BRAKE, **changes}
    assert await temani("brake") == 0
    assert words in capsys.readouterr().out


async def test_the_one_that_was_seen_is_confirmed(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the operator, through the gateway, by its id."""
    assert await temani("confirm", ID) == 0
    assert "6 mitras go offline with the next pass" in capsys.readouterr().out
    assert gateway.confirmed == [("Bearer t", {"brake_id": ID})]
    assert await temani("confirm", ID, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"brake_id": ID, "mitras": 6}


@pytest.mark.parametrize("status", [404, 409])
async def test_what_waits_no_more_says_where_to_look(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    """Exit code 1, the service's own words, and the command that shows what waits now."""
    gateway.refusal = web.json_response({"detail": "It names others by now."}, status=status)
    assert await temani("confirm", ID) == 1
    assert "It names others by now. `temani sweep brake`" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["confirm"], ["confirm", "that one"], []])
async def test_a_wrong_word_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, before anything is asked."""
    with pytest.raises(SystemExit) as ended:
        await temani(*words)
    assert ended.value.code == 2
    assert capsys.readouterr().err
