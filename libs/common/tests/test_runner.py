"""Tasks are kept alive, and a process leaves in order and in time."""

import asyncio
import gc

import pytest

from common.runner import Runner
from common.testing import eventually


async def test_a_loop_that_fails_is_started_anew(runner: Runner) -> None:
    """An exception, a return and an inner cancellation all lead to another start."""
    starts = 0

    async def loop() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError
        if starts == 2:
            raise asyncio.CancelledError
        if starts == 3:
            return
        await asyncio.Event().wait()

    runner.spawn("loop", loop)
    await eventually(lambda: starts == 4)


async def test_tasks_are_held(runner: Runner) -> None:
    """The garbage collector cannot take a task that nobody else refers to."""
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append(1)

    runner.background(work(), name="work")
    gc.collect()
    await eventually(lambda: done)


async def test_rhythm_survives_errors_and_can_be_hurried(runner: Runner) -> None:
    """A run that fails is followed by the next; now() does not wait for the time."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise RuntimeError

    pulse = runner.every("work", 60, work, jitter=0)
    await eventually(lambda: runs == 1)
    pulse.now()
    await eventually(lambda: runs == 2)


async def test_a_pulse_during_a_run_causes_one_more(runner: Runner) -> None:
    """Work that arrives while the run is under way is not forgotten."""
    runs = 0
    inside = asyncio.Event()
    go_on = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        inside.set()
        await go_on.wait()

    pulse = runner.every("work", 60, work, jitter=0)
    async with asyncio.timeout(20):
        await inside.wait()
    pulse.now()
    go_on.set()
    await eventually(lambda: runs == 2)


async def test_stop_lets_the_work_at_hand_finish_then_closes_in_reverse() -> None:
    """Patient work ends by itself, loops are cancelled, closers run last to first."""
    runner = Runner()
    told: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cancelled")

    async def short() -> None:
        await asyncio.sleep(0.2)
        told.append("finished")

    async def close(name: str) -> None:
        told.append(name)

    runner.on_stop(lambda: close("pool"))
    runner.on_stop(lambda: close("bus"))
    runner.spawn("forever", forever)
    runner.background(short(), name="short")
    await asyncio.sleep(0)
    await runner.stop()

    assert told == ["cancelled", "finished", "bus", "pool"]
    assert runner.stopping


async def test_a_stuck_task_is_cancelled_again_and_does_not_hold_the_exit() -> None:
    """A task that swallows one cancellation gets another; one that swallows all is left behind."""
    runner = Runner()
    swallowed = 0
    release = asyncio.Event()

    async def swallow_twice() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    async def swallow_all() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    closed: list[int] = []

    async def close() -> None:
        closed.append(1)

    runner.on_stop(close)
    runner.background(swallow_twice(), name="twice")
    runner.background(swallow_all(), name="all")
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await runner.stop(budget=4)

    assert swallowed == 2
    assert runner.stuck == ["all"]
    assert closed == [1]
    release.set()
    await asyncio.sleep(0)


async def test_a_closer_that_hangs_or_fails_does_not_stop_the_others() -> None:
    """Every closer gets its turn."""
    runner = Runner()
    closed: list[int] = []

    async def hang() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise RuntimeError

    async def close() -> None:
        closed.append(1)

    runner.on_stop(close)
    runner.on_stop(fail)
    runner.on_stop(hang)
    await runner.stop(budget=1)

    assert closed == [1]


@pytest.mark.parametrize("name", ["spawn", "background"])
async def test_a_stopped_runner_takes_nothing(name: str) -> None:
    """What is given to a runner after its end is refused, and nothing is left unawaited."""
    runner = Runner()
    await runner.stop()
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    if name == "spawn":
        runner.spawn("late", work)
    else:
        runner.background(work(), name="late")
    await asyncio.sleep(0)
    assert not runner._tasks
    assert ran == []
