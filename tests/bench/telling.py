"""Telling events of load to whoever listens, all at once or at a steady rate."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from nats.aio.client import Client

from common import trace
from common.bus.envelope import event_headers
from common.ids import new_id

SUBJECT: Final = "evt.chat.session_created.v1"
EVENTS: Final = 5_000
AT_ONCE: Final = 100
LIMIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.002


async def fill(client: Client, subject: str, mitras: Sequence[UUID], *, told: bool) -> None:
    """Put events into a stream, each one acknowledged by it."""
    for start in range(0, len(mitras), AT_ONCE):
        part = mitras[start : start + AT_ONCE]
        await asyncio.gather(*(_put(client, subject, mitra_id, told=told) for mitra_id in part))


async def _put(client: Client, subject: str, mitra_id: UUID, *, told: bool) -> None:
    await client.jetstream().publish(
        subject, _body(mitra_id, told=told), headers=_envelope(told=told)
    )


async def tell(client: Client, subject: str, mitra_id: UUID, *, told: bool) -> None:
    """Say one event; with `told` as the product does, else with its id alone."""
    await client.publish(subject, _body(mitra_id, told=told), headers=_envelope(told=told))


def _body(mitra_id: UUID, *, told: bool) -> bytes:
    """Return the body of an event as the product tells it; the others carry an id and no more."""
    return json.dumps({"mitra_id": str(mitra_id)}).encode() if told else mitra_id.bytes


def _envelope(*, told: bool) -> dict[str, str] | None:
    """Return the envelope of an event as the product tells it; the others carry none."""
    if not told:
        return None
    at = datetime.now(UTC).isoformat()
    return event_headers(id=new_id(), subject=SUBJECT, at=at, traceparent=trace.traceparent())


async def paced(
    client: Client, subject: str, whom: Sequence[UUID], *, per_second: float, told: bool
) -> dict[UUID, float]:
    """Tell one event after the other at this rate; return when each was told."""
    at: dict[UUID, float] = {}
    started = time.perf_counter()
    for number, mitra_id in enumerate(whom):
        await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
        at[mitra_id] = time.perf_counter()
        await tell(client, subject, mitra_id, told=told)
    return at


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is done; raise TimeoutError after a minute."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await done():
            await asyncio.sleep(_POLL_SECONDS)
