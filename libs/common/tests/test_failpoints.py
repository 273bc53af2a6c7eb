"""Killed between commit and publish: no event is lost."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support import TestDatabase

from common.bus import Bus, Delivery
from common.clock import SystemClock
from common.db import Database
from common.outbox import Outbox
from common.runner import Runner
from common.testing import eventually

_WRITER = Path(__file__).with_name("dying_writer.py")


@pytest.mark.fault
async def test_events_survive_a_kill_after_the_commit(
    plumbed: TestDatabase, nats_url: str, db: Database, bus: Bus, runner: Runner
) -> None:
    """Writers that are killed right after committing leave their events to the next relay."""
    heard: set[str] = set()

    async def take(delivery: Delivery) -> None:
        heard.add(delivery.body.decode())

    bus.consume(
        stream="AUTH",
        durable=f"test-{uuid4().hex}",
        subjects=["evt.auth.number_written.v1"],
        handler=take,
    )
    written = 0
    # A writer may also be killed at a commit of its relay, before it has written anything.
    for _ in range(12):
        await _write_until_killed(plumbed, nats_url)
        async with db.connection() as connection:
            written = await connection.fetchval("SELECT count(*) FROM outbox")
        if written >= 3:
            break
    assert written >= 3
    Outbox(service="auth", db=db, bus=bus, runner=runner, clock=SystemClock())

    await eventually(lambda: len(heard) == written, timeout=40)


async def _write_until_killed(plumbed: TestDatabase, nats_url: str) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_WRITER),
        env={
            **os.environ,
            "DATABASE_URL": plumbed.url("auth"),
            "NATS_URL": nats_url,
            "FAILPOINTS": "after_commit=kill:0.3",
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        assert await writer.wait() == -signal.SIGKILL
