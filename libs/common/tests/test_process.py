"""A service's process: it starts without NATS, and leaves in order within ten seconds."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from tests.support import TestDatabase

from common.bus import DeadLetters
from common.db import Database
from common.ids import new_id
from common.testing import eventually
from temani.ports import free_port

TINY = Path(__file__).with_name("tiny_service.py")
NOWHERE = "nats://127.0.0.1:9"


class Tiny:
    """The process and how to ask it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    async def status(self, path: str) -> int:
        """Ask for a path; 0 when nobody answers."""
        try:
            async with aiohttp.ClientSession() as client, client.get(self.url + path) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def ready(self) -> bool:
        """Whether it takes traffic."""
        return await self.status("/readyz") == 200

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code, which is 3 where it had to be torn after 10 s."""
        self.process.send_signal(number)
        # Less than the minute for which a test makes it misbehave.
        async with asyncio.timeout(45):
            return await self.process.wait()


Start = Callable[..., contextlib.AbstractAsyncContextManager[Tiny]]


@pytest.fixture
def environment(plumbed: TestDatabase, nats_url: str, tmp_path: Path) -> dict[str, str]:
    """What the process is told."""
    (tmp_path / "migrations").mkdir(exist_ok=True)
    return {
        **os.environ,
        "DATABASE_URL": plumbed.url("auth"),
        "MIGRATE_DATABASE_URL": plumbed.url("auth_migrate"),
        "NATS_URL": nats_url,
        "TINY_HOME": str(tmp_path),
        "LOG_FORMAT": "json",
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Start:
    """Starts the process; it is gone at the end of the block."""

    @contextlib.asynccontextmanager
    async def started(*, ready: bool = True, **changes: str) -> AsyncIterator[Tiny]:
        port = free_port()
        log = Path(environment["TINY_HOME"]) / f"{port}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(TINY),
                env={**environment, "HTTP_PORT": str(port), **changes},
                stdout=out,
            )
        tiny = Tiny(process, port, log)
        try:
            if ready:
                await eventually(tiny.ready, timeout=60)
            yield tiny
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return started


async def command(environment: dict[str, str], *words: str) -> tuple[int, str]:
    """Run one command line; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(TINY),
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.fault
async def test_requests_under_way_are_answered_before_the_end(start: Start) -> None:
    """SIGTERM lets a running request finish, refuses new ones, and exits with 0 in time."""
    async with start() as tiny:
        slow = asyncio.ensure_future(tiny.status("/sleep/10"))
        await eventually(lambda: "sleeping" in tiny.log.read_text())

        assert await tiny.end() == 0
        assert await slow == 200
        assert await tiny.status("/livez") == 0


@pytest.mark.fault
async def test_it_starts_and_ends_without_nats(start: Start) -> None:
    """NATS is not needed to become ready, nor to leave."""
    async with start(NATS_URL=NOWHERE) as tiny:
        assert await tiny.end() == 0


@pytest.mark.fault
async def test_a_clinging_task_does_not_hold_the_exit(start: Start) -> None:
    """A task that swallows cancellation is left behind after a few tries."""
    async with start(MISBEHAVE="cling") as tiny:
        assert await tiny.end() == 0


@pytest.mark.fault
async def test_a_blocked_loop_is_torn_in_time(start: Start) -> None:
    """A closer that blocks the whole loop cannot keep the process beyond ten seconds."""
    async with start(MISBEHAVE="block") as tiny:
        assert await tiny.end(signal.SIGINT) == 3


@pytest.mark.fault
async def test_a_signal_while_waiting_for_postgres_ends_at_once(start: Start) -> None:
    """A process that still waits for its database leaves as soon as it is asked."""
    away = "postgresql://auth@127.0.0.1:9/none"
    async with start(ready=False, DATABASE_URL=away) as tiny:
        await eventually(lambda: "postgres_awaited" in tiny.log.read_text(), timeout=60)
        assert await tiny.end() == 0


async def test_a_taken_port_is_said_and_ends_it(start: Start) -> None:
    """Two processes on one port: the second exits with 1 instead of idling."""
    async with start() as tiny:
        port = tiny.url.rsplit(":", 1)[1]
        async with start(ready=False, HTTP_PORT=port) as second:
            async with asyncio.timeout(60):
                assert await second.process.wait() == 1


async def test_settings_and_migrations_by_command(environment: dict[str, str]) -> None:
    """check-settings hides passwords; migrate says what it did, here nothing."""
    code, shown = await command(environment, "check-settings")
    assert code == 0
    assert json.loads(shown)["http_host"] == "127.0.0.1"
    assert "only-for-tests" not in shown

    code, said = await command(environment, "migrate", "--stage", "pre")
    assert (code, said.splitlines()[-1]) == (0, "nothing to do")


async def test_dead_letters_by_command(environment: dict[str, str], db: Database) -> None:
    """`dlq list` shows what waits, `dlq replay` tells it again, and then nothing waits."""
    event_id = new_id()
    await DeadLetters(db).bury(
        consumer="tiny",
        stream="AUTH",
        stream_seq=1,
        subject="evt.auth.replayed.v1",
        event_id=event_id,
        body=b"{}",
        headers={"Nats-Msg-Id": str(event_id), "Temani-Type": "evt.auth.replayed.v1"},
        reason="exhausted",
        error="test",
        deliveries=5,
    )
    code, listed = await command(environment, "dlq", "list", "--json")
    assert code == 0
    letter = json.loads(listed.splitlines()[-1])
    assert letter["event_id"] == str(event_id)

    code, said = await command(environment, "dlq", "replay", letter["id"])
    assert (code, said.splitlines()[-1]) == (0, f"{letter['id']} evt.auth.replayed.v1")
    assert await DeadLetters(db).waiting() == []


@pytest.mark.parametrize(("told", "loop"), [("", "uvloop"), ("asyncio", "asyncio")])
async def test_the_loop_is_a_setting(start: Start, told: str, loop: str) -> None:
    """Services run on the loop that they are told, uvloop without a word, and leave it in order."""
    async with start(EVENT_LOOP=told) as tiny:
        code = await tiny.end()

    lines = [json.loads(line) for line in tiny.log.read_text().splitlines()]
    (ready,) = [line for line in lines if line["event"] == "ready"]
    assert (ready["loop"], code) == (loop, 0)
