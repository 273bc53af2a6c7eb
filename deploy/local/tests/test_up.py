"""The whole stack as a newcomer starts it: one command, one banner that does not lie, one end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from common.testing import eventually
from temani import layout, state

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass
class Up:
    """A running `temani up` and what it printed."""

    launcher: asyncio.subprocess.Process
    folder: Path
    told: dict[str, Any]

    async def succeeds(self, *words: str) -> bool:
        """Run another command that has nothing to complain of."""
        code, output = await self.temani(*words)
        assert code == 0, output
        return True

    async def temani(self, *words: str) -> tuple[int, str]:
        """Run another command against this stack; return its exit code and output."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "temani", *words),
            env={**os.environ, "TEMANI_STATE": str(self.folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
        assert child.returncode is not None
        return child.returncode, output.decode()


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
async def up(scratch: Path) -> AsyncIterator[Up]:
    """`temani up` with the demo's settings, in a folder of its own."""
    folder = scratch / "up"
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "temani", "up", "--profile", "demo", "--json"),
        env={**os.environ, "TEMANI_STATE": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(200):
            told = await _first_document(launcher)
        yield Up(launcher, folder, told)
    finally:
        if launcher.returncode is None:
            launcher.kill()
            await launcher.wait()


async def _first_document(launcher: asyncio.subprocess.Process) -> dict[str, Any]:
    assert launcher.stdout is not None
    text = ""
    while line := (await launcher.stdout.readline()).decode():
        text += line
        if line == "}\n":
            told: dict[str, Any] = json.loads(text)
            return told
    assert launcher.stderr is not None
    pytest.fail((await launcher.stderr.read()).decode())


@pytest.mark.req("OP-01")
async def test_the_banner_does_not_lie(up: Up) -> None:
    """Every address answers, and every login that is printed works through the gateway."""
    urls = up.told["urls"]
    async with aiohttp.ClientSession() as http:
        for url in (urls["gateway"], urls["inbox"], *(urls[s] + "/docs" for s in layout.SERVICES)):
            async with http.get(url) as answer:
                assert answer.status == 200, url
        for service in layout.SERVICES:
            async with http.get(urls[service] + "/metrics") as answer:
                assert answer.status == 200
    for role in ("operator", "mitra", "customer"):
        code, output = await up.temani("token", "mint", "--role", role)
        assert code == 0, output
    code, output = await up.temani("token", "inspect", "--json", output.strip())
    assert json.loads(output)["signature"] == "valid"


@pytest.mark.req("OP-01")
async def test_everything_is_seeded_and_seeding_again_adds_nothing(up: Up) -> None:
    """Twelve mitras and the profile's prices are there; a second seeding finds them."""
    _, operator = await up.temani("token", "mint", "--role", "operator")
    before = await _tiers(up, operator.strip())
    code, output = await up.temani("seed", "--json")
    assert code == 0, output
    assert json.loads(output) == {"tiers": 4, "mitras": 12, "new_mitras": 0}
    assert await _tiers(up, operator.strip()) == before


async def _tiers(up: Up, operator: str) -> list[dict[str, object]]:
    """Return the current version of every tier."""
    url = up.told["urls"]["gateway"] + "/api/control/settings/chat/tiers"
    headers = {"Authorization": f"Bearer {operator}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
        assert answer.status == 200
        return (await answer.json())["tiers"]  # type: ignore[no-any-return]  # the route's shape


async def test_a_second_operator_of_that_name_is_refused_in_words(up: Up) -> None:
    """A person reads a sentence, not auth's JSON."""
    email = up.told["operator"]["email"]
    code, output = await up.temani("operator", "create", "--email", email)
    assert code != 0
    assert "There is an operator with this e-mail address already." in output
    assert "{" not in output


async def test_a_second_up_says_where_the_first_is(up: Up) -> None:
    """The same folder is not used twice at once."""
    code, output = await up.temani("up")
    assert code == 3
    assert up.told["urls"]["gateway"] in output


async def test_a_crashed_service_comes_back(up: Up) -> None:
    """A killed service is started again, and `temani status` counts it."""
    os.kill(up.told["parts"]["sweeper"]["pid"], signal.SIGKILL)

    async def is_back() -> bool:
        now = state.load(up.folder).parts.get("sweeper")
        return now is not None and now.restarts == 1

    await eventually(is_back, timeout=60)
    await eventually(lambda: up.succeeds("status"), timeout=60)


@pytest.mark.parametrize(
    "words",
    [["mirror", "diff"], ["mirror", "drift"], ["mirror", "reseed"], ["dlq", "list"], ["migrate"]],
)
async def test_looking_after_a_healthy_stack_finds_nothing(up: Up, words: list[str]) -> None:
    """Fresh, the mirror equals Postgres, no letter is dead, and no migration is missing."""
    # Again where Valkey was slow for a moment: then, rightly, there is no mirror to look at.
    await eventually(lambda: up.succeeds(*words, "--json"), timeout=60)


@pytest.mark.req("OP-01", "OP-08")
async def test_ctrl_c_ends_everything(up: Up) -> None:
    """One SIGINT drains and ends every process; the state folder stays."""
    pids = [part.pid for part in state.load(up.folder).parts.values()]
    up.launcher.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        assert await up.launcher.wait() == 0
    assert not [pid for pid in pids if _alive(pid)]
    assert (up.folder / "postgres" / "data" / "PG_VERSION").exists()
    code, _ = await up.temani("status")
    assert code == 3
