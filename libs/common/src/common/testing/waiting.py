"""Waiting for a condition instead of for a while."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL = 0.02


async def eventually(
    predicate: Callable[[], T | Awaitable[T]],
    timeout: float = 20.0,  # noqa: ASYNC109 - a test's patience, never what it measures
) -> T:
    """Return the first truthy answer of `predicate`; fail after `timeout` seconds without one.

    An AssertionError inside the predicate counts as "not yet"; the last one is reported.
    """
    last: AssertionError | None = None
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            answer = predicate()
            value: T = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
        except AssertionError as error:
            last = error
        if asyncio.get_running_loop().time() > deadline:
            raise last or AssertionError(f"not within {timeout} s: {predicate!r}")
        await asyncio.sleep(_POLL)
