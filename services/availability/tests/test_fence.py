"""Whoever lost the lease of the sweep speaks too late, however good her news was."""

import asyncio

import pytest
from services.availability.tests.site import Site
from services.availability.tests.test_store import Shelf, shelf

from availability.domain import Stale
from availability.errors import FencePassed
from availability.inbound import MarkOffline, StaleItem
from common.bus import CommandFailed

__all__ = ["shelf"]  # a fixture


@pytest.mark.req("SW-01")
async def test_a_lower_fence_is_refused(shelf: Shelf) -> None:
    """A replica that woke after it lost its lease takes nobody offline; the present holder may."""
    mitra = await shelf.world.mitra(beat_age=90)
    assert await shelf.store.mark_stale_offline([], fence=7) == []

    with pytest.raises(FencePassed):
        await shelf.store.mark_stale_offline([Stale(mitra, 2, 0)], fence=6)
    assert await shelf.count("outbox") == 0

    changes = await shelf.store.mark_stale_offline([Stale(mitra, 2, 0)], fence=7)
    assert [change.mitra_id for change in changes] == [mitra]


@pytest.mark.req("SW-01")
async def test_the_fence_is_of_the_same_commit(shelf: Shelf) -> None:
    """Of two holders at once the later one wins: the older does nothing after it."""
    mitras = [await shelf.world.mitra(beat_age=90) for _ in range(20)]

    async def mark(mitra_no: int, fence: int) -> int:
        try:
            stale = [Stale(mitras[mitra_no], 2, 0)]
            return len(await shelf.store.mark_stale_offline(stale, fence=fence))
        except FencePassed:
            return 0

    assert await mark(0, 2) == 1
    done = await asyncio.gather(*(mark(number, 1 + number % 2) for number in range(1, 20)))
    assert [bool(one) for one in done] == [number % 2 == 1 for number in range(1, 20)]


@pytest.mark.req("SW-01")
async def test_the_sweep_hears_why(site: Site) -> None:
    """Over the bus the refusal is an error with its own code; her status stays."""
    mitra = await site.world.mitra(beat_age=90)
    items = [StaleItem(mitra_id=mitra, status_version=2, seen_at_ms=0)]
    await site.bus.request(
        "cmd.availability.mark_offline.v1", MarkOffline(fence=9, items=[]), timeout=10
    )

    with pytest.raises(CommandFailed) as refused:
        await site.bus.request(
            "cmd.availability.mark_offline.v1", MarkOffline(fence=8, items=items), timeout=10
        )

    assert refused.value.error_code == "fence_passed"
    rows = await site.rows("SELECT is_online FROM availability.mitra_status")
    assert rows == [{"is_online": True}]
