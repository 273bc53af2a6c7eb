"""Holding a promised bound on a machine that runs other things beside."""

from collections.abc import Awaitable, Callable


async def in_time(attempt: Callable[[], Awaitable[object]], *, tries: int = 5) -> None:
    """Await `attempt()` until one ends without a TimeoutError; the last try's goes to the caller.

    The attempt bounds with asyncio.timeout() what is promised a time, and that alone. A machine
    that is busy for a moment spoils a try; what is late by its nature is late in each.
    """
    for _ in range(tries - 1):
        try:
            await attempt()
        except TimeoutError:
            continue
        return
    await attempt()
