"""The ticker's alarm rings at the earliest moment, at the latest with the tick."""

import asyncio

import pytest

from chat.providers.alarm import DeadlineAlarm
from common.clock import SystemClock


async def elapsed(alarm: DeadlineAlarm, tick: float) -> float:
    """Return how long one wait took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await alarm.wait(tick)
    return loop.time() - started


@pytest.mark.req("CH-05")
async def test_rings_at_the_earliest() -> None:
    """The earliest wake-up counts, whatever was asked before or after it."""
    alarm = DeadlineAlarm(clock=SystemClock())
    alarm.wake_at(30)
    alarm.wake_at(0.1)
    alarm.wake_at(25)
    assert 0.09 < await elapsed(alarm, 60) < 20
    assert 0.04 < await elapsed(alarm, 0.05) < 20


@pytest.mark.req("CH-05")
async def test_an_earlier_one_shortens_the_sleep() -> None:
    """Whoever asks for sooner while the ticker sleeps is heard."""
    alarm = DeadlineAlarm(clock=SystemClock())
    alarm.wake_at(30)
    waiting = asyncio.create_task(elapsed(alarm, 60))
    await asyncio.sleep(0)
    alarm.wake_at(0)
    assert await waiting < 20


@pytest.mark.req("CH-05")
async def test_a_crowd_of_far_deadlines_hides_no_near_one() -> None:
    """However many sessions end in an hour, the one that ends now is met at once."""
    alarm = DeadlineAlarm(clock=SystemClock())
    for _ in range(20_000):
        alarm.wake_at(3600)
    alarm.wake_at(0.1)
    assert 0.09 < await elapsed(alarm, 60) < 20
