"""While no replica was there, whoever beats by HTTP was silent through no fault of hers."""

import pytest
from services.availability.tests.site import Site
from services.availability.tests.test_store import PATIENCE, Shelf, shelf
from tests.support import TestDatabase

from availability.domain import Stale
from availability.errors import InGrace
from availability.inbound import MarkOffline, StaleItem
from availability.store import Leases
from common.bus import CommandFailed
from common.testing.waiting import eventually

__all__ = ["shelf"]  # a fixture


async def serving(stage: TestDatabase, *, since: float, seen: float) -> None:
    """Set since when there has been a replica, and when one was seen last, in seconds ago."""
    async with stage.admin() as admin:
        await admin.execute(
            """UPDATE availability.serving
               SET since = clock_timestamp() - $1 * interval '1 second',
                   seen_at = clock_timestamp() - $2 * interval '1 second'""",
            since,
            seen,
        )


@pytest.mark.req("SW-01", "AV-05")
async def test_after_an_outage_of_ours_nobody_is_taken_offline(
    shelf: Shelf, stage: TestDatabase
) -> None:
    """Everybody has time to be heard first; then the sweep may act again."""
    mitra = await shelf.world.mitra(beat_age=90)
    stale, leases = [Stale(mitra, 2, 0)], Leases(shelf.db)
    await serving(stage, since=3600, seen=PATIENCE.gap + 1)

    with pytest.raises(InGrace):
        await shelf.store.mark_stale_offline(stale, fence=1)
    await leases.serve(gap_seconds=PATIENCE.gap)
    with pytest.raises(InGrace):
        await shelf.store.mark_stale_offline(stale, fence=1)
    assert await shelf.count("outbox") == 0

    await serving(stage, since=PATIENCE.grace + 1, seen=0)
    changes = await shelf.store.mark_stale_offline(stale, fence=1)
    assert [change.mitra_id for change in changes] == [mitra]


@pytest.mark.req("SW-01")
async def test_a_restart_is_no_outage(shelf: Shelf, stage: TestDatabase) -> None:
    """A replica that was away for a moment, or comes beside another, starts no grace."""
    mitra = await shelf.world.mitra(beat_age=90)
    await serving(stage, since=3600, seen=PATIENCE.gap - 20)

    await Leases(shelf.db).serve(gap_seconds=PATIENCE.gap)

    changes = await shelf.store.mark_stale_offline([Stale(mitra, 2, 0)], fence=1)
    assert [change.mitra_id for change in changes] == [mitra]


@pytest.mark.req("SW-01")
async def test_a_replica_that_comes_back_says_so_itself(site: Site, stage: TestDatabase) -> None:
    """Its first word after the outage begins the grace; the sweep hears `in_grace`."""
    mitra = await site.world.mitra(beat_age=90)
    await serving(stage, since=3600, seen=600)

    async def noted() -> bool:
        query = "SELECT since > clock_timestamp() - interval '1 minute' AS anew FROM {}"
        return bool((await site.rows(query.format("availability.serving")))[0]["anew"])

    await eventually(noted)
    items = [StaleItem(mitra_id=mitra, status_version=2, seen_at_ms=0)]
    with pytest.raises(CommandFailed) as refused:
        await site.bus.request(
            "cmd.availability.mark_offline.v1", MarkOffline(fence=1, items=items), timeout=10
        )

    assert refused.value.error_code == "in_grace"
    rows = await site.rows("SELECT is_online FROM availability.mitra_status")
    assert rows == [{"is_online": True}]
