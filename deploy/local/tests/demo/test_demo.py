"""Promises of the whole demo, on a stack of its own."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from temani.demo import run_demo
from temani.demo.world import World
from temani.stack import Options, Stack


@pytest.mark.e2e
@pytest.mark.req("OP-03")
async def test_people_live_through_everything(scratch: Path) -> None:
    """Bots complete sessions through the gateway, every path is walked, every invariant holds."""
    stack = Stack(Options(profile="demo", folder=scratch / "demo"), say=print)
    enough = asyncio.Event()

    def look(_elapsed: float, world: World) -> None:
        if not world.numbers.missing_paths() and world.numbers.counts["sessions_completed"] >= 10:
            enough.set()

    try:
        await stack.start()
        summary = await run_demo(
            stack.state(), 75, seed=1, on_tick=look, stop=enough, folder=scratch / "demo"
        )
    finally:
        await asyncio.shield(stack.stop())

    assert summary.violation_texts == []
    assert summary.missing_paths == []
    assert summary.sessions_completed >= 10


@pytest.mark.e2e
@pytest.mark.fault
@pytest.mark.req("OP-03", "CH-11")
async def test_a_crash_in_the_middle_breaks_no_promise(scratch: Path) -> None:
    """Chat and the sweeper are killed mid-run: bots go on, and every invariant holds."""
    stack = Stack(Options(profile="demo", folder=scratch / "crash"), say=print)
    victims = {"chat": 6.0, "sweeper": 9.0}

    def kill(elapsed: float, _world: World) -> None:
        for name, at in list(victims.items()):
            if elapsed >= at:
                del victims[name]
                os.kill(stack.state().parts[name].pid, signal.SIGKILL)

    try:
        await stack.start()
        summary = await run_demo(stack.state(), 16, seed=2, on_tick=kill, folder=scratch / "crash")
        parts = stack.state().parts
    finally:
        await asyncio.shield(stack.stop())

    assert summary.violation_texts == []
    assert summary.sessions_completed >= 4
    assert parts["chat"].restarts == 1
    assert victims == {}
