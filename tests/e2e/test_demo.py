"""The demo keeps its own promise: people live through everything, and the oracle is content."""

import asyncio
from pathlib import Path

import pytest
from tests.e2e.stack import Stack

from temani.demo import run_demo
from temani.demo.world import World


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.req("OP-03")
async def test_people_live_through_everything(stack: Stack, tmp_path: Path) -> None:
    """Bots complete sessions through the gateway, every path is walked, every invariant holds."""
    enough = asyncio.Event()

    def look(_elapsed: float, world: World) -> None:
        if not world.numbers.missing_paths() and world.numbers.counts["sessions_completed"] >= 10:
            enough.set()

    summary = await run_demo(stack.state, 150, seed=1, on_tick=look, stop=enough, folder=tmp_path)

    assert summary.violation_texts == []
    assert summary.missing_paths == []
    assert summary.sessions_completed >= 10
