"""Holding a promised bound on a machine that runs other things beside."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def in_time(attempt: Callable[[], Awaitable[T]], *, tries: int = 5) -> T:
    """Await `attempt()` until one ends without a TimeoutError; the last try's goes to the caller.

    The attempt bounds with asyncio.timeout() what is promised a time, and that alone. A machine
    that is busy for a moment spoils a try; what is late by its nature is late in each.
    """
    for _ in range(tries - 1):
        try:
            return await attempt()
        except TimeoutError:
            continue
    return await attempt()
