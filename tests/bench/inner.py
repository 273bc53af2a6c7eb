"""The event loop that services run on, in a thread of its own on the core under test."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop

T = TypeVar("T")


async def on_the_tested_core(core: int, work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` as a service would run it: on uvloop, on one core, its start-up frozen."""

    async def settled() -> T:
        os.sched_setaffinity(0, {core})  # of this thread only
        return await work()

    def run() -> T:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(settled())

    return await asyncio.to_thread(run)


def freeze() -> None:
    """Keep what is there by now out of the collector's way, as a service does after its start."""
    gc.collect()
    gc.freeze()
