"""One connection: what counts as late, and what is only a stall of our own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

from mirror.wire import Wire, WireLost

TIMEOUT = 0.15
STALL = 2 * TIMEOUT

Loop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@contextlib.asynccontextmanager
async def connected(valkey_url: str) -> AsyncIterator[Wire]:
    """A wire to a real Valkey that is as hasty as a service's."""
    parts = urlsplit(valkey_url)
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(timeout=TIMEOUT, on_lost=lambda _wire, _reason: None),
        parts.hostname,
        parts.port,
    )
    try:
        yield wire
    finally:
        wire.abort("the test is over")


def run(loop: Loop, act: Callable[[], Any]) -> Any:
    """Run it on a loop of that kind, beside none of the tests' own."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(act())


@LOOPS
def test_a_stall_before_the_command_left_is_no_outage(valkey_url: str, loop: Loop) -> None:
    """Time that passed before anything was sent is not Valkey's."""

    async def act() -> list[bytes]:
        async with connected(valkey_url) as wire:
            await wire.send((b"PING",))
            asyncio.get_running_loop().call_soon(time.sleep, STALL)
            return await asyncio.gather(wire.send((b"PING",)), wire.send((b"ECHO", b"here")))

    assert run(loop, act) == [b"PONG", b"here"]


@LOOPS
def test_a_reply_that_lies_here_unread_is_not_late(valkey_url: str, loop: Loop) -> None:
    """A stall of ours while the reply came: it is read before anybody is judged."""

    async def act() -> bytes:
        async with connected(valkey_url) as wire:
            await wire.send((b"PING",))
            reply = wire.send((b"PING",))
            asyncio.get_running_loop().call_later(0.0, time.sleep, STALL)
            return await reply

    assert run(loop, act) == b"PONG"


@LOOPS
def test_a_reply_that_does_not_come_ends_the_connection(valkey_url: str, loop: Loop) -> None:
    """What is late is late, also for those who asked after it."""

    async def act() -> list[Any]:
        async with connected(valkey_url) as wire:
            await wire.send((b"PING",))
            slow = wire.send((b"BLPOP", b"nothing", 0))
            await asyncio.sleep(TIMEOUT / 3)
            then = wire.send((b"PING",))
            async with asyncio.timeout(30):
                return await asyncio.gather(slow, then, return_exceptions=True)

    late = run(loop, act)
    assert [str(one) for one in late] == ["no reply in time"] * 2
    assert all(isinstance(one, WireLost) for one in late)
