"""The clock of Postgres goes back by minutes: what was written before it hinders nobody."""

import pytest
from services.availability.tests.test_serving import serving
from services.availability.tests.test_store import PATIENCE, Shelf, shelf
from tests.support import TestDatabase

from availability.store import Insight, Leases
from common.clock import SystemClock
from common.ids import new_id
from mirror import Bulkhead

__all__ = ["shelf"]  # a fixture

MINUTES = 7 * 60.0


@pytest.mark.req("AV-01", "AV-05")
async def test_who_goes_online_again_is_there_now(shelf: Shelf) -> None:
    """Her last beat lies ahead: by Postgres she is stale until she says so herself."""
    mitra = await shelf.world.mitra(beat_age=-MINUTES)
    assert (await shelf.store.status(mitra)).beat_age is None
    insight = Insight(shelf.db, bulkhead=Bulkhead(clock=SystemClock()))
    assert (await insight.known(mitra)).beat_age is None

    status = await shelf.store.go_online(mitra, login_id=new_id())

    assert status.beat_age is not None
    assert 0 <= await shelf.world.beaten_ago(mitra) < 60


@pytest.mark.req("SW-01")
async def test_replicas_go_on_saying_that_they_are_there(shelf: Shelf, stage: TestDatabase) -> None:
    """They were there since a moment that is still to come: the grace begins anew."""
    await serving(stage, since=-MINUTES, seen=-MINUTES)
    await Leases(shelf.db).serve(gap_seconds=PATIENCE.gap)
    async with stage.admin() as admin:
        age = await admin.fetchval(
            "SELECT extract(epoch FROM clock_timestamp() - since)::float8 FROM availability.serving"
        )

    assert 0 <= age < 60
