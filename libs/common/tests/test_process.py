"""A service's process: it starts without NATS, and leaves in order within ten seconds."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
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

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to end; return its exit code and how long it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(15):
            code = await self.process.wait()
        return code, time.monotonic() - started


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
                await eventually(tiny.ready, timeout=20)
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
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.fault
async def test_requests_under_way_are_answered_before_the_end(start: Start) -> None:
    """SIGTERM lets a running request finish, refuses new ones, and exits with 0 in time."""
    async with start() as tiny:
        slow = asyncio.ensure_future(tiny.status("/sleep/10"))
        await asyncio.sleep(0.3)
        code, seconds = await tiny.end()

        assert await slow == 200
        assert code == 0
        assert seconds < 10
        assert await tiny.status("/livez") == 0


@pytest.mark.fault
async def test_it_starts_and_ends_without_nats(start: Start) -> None:
    """NATS is not needed to become ready, nor to leave."""
    async with start(NATS_URL=NOWHERE) as tiny:
        code, seconds = await tiny.end()
        assert code == 0
        assert seconds < 5


@pytest.mark.fault
async def test_a_clinging_task_does_not_hold_the_exit(start: Start) -> None:
    """A task that swallows cancellation is left behind after a few tries."""
    async with start(MISBEHAVE="cling") as tiny:
        code, seconds = await tiny.end()
        assert code == 0
        assert seconds < 10


@pytest.mark.fault
async def test_a_blocked_loop_is_torn_in_time(start: Start) -> None:
    """A closer that blocks the whole loop cannot keep the process beyond ten seconds."""
    async with start(MISBEHAVE="block") as tiny:
        code, seconds = await tiny.end(signal.SIGINT)
        assert code == 3
        assert seconds < 10


@pytest.mark.fault
async def test_a_signal_while_waiting_for_postgres_ends_at_once(start: Start) -> None:
    """A process that still waits for its database leaves as soon as it is asked."""
    away = "postgresql://auth@127.0.0.1:9/none"
    async with start(ready=False, DATABASE_URL=away) as tiny:
        await eventually(lambda: "postgres_awaited" in tiny.log.read_text(), timeout=20)
        code, seconds = await tiny.end()
        assert code == 0
        assert seconds < 5


async def test_a_taken_port_is_said_and_ends_it(start: Start) -> None:
    """Two processes on one port: the second exits with 1 instead of idling."""
    async with start() as tiny:
        port = tiny.url.rsplit(":", 1)[1]
        async with start(ready=False, HTTP_PORT=port) as second:
            async with asyncio.timeout(15):
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


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_the_loop_is_a_setting(start: Start, loop: str) -> None:
    """Services run on the loop that they are told, and leave it in order."""
    async with start(EVENT_LOOP=loop) as tiny:
        code, _ = await tiny.end()

    lines = [json.loads(line) for line in tiny.log.read_text().splitlines()]
    (ready,) = [line for line in lines if line["event"] == "ready"]
    assert (ready["loop"], code) == (loop, 0)


async def test_services_run_on_uvloop(start: Start) -> None:
    """Whoever is told nothing runs on uvloop."""
    async with start(EVENT_LOOP="") as tiny:
        await tiny.end()

    assert '"loop":"uvloop"' in tiny.log.read_text()
