"""Since when a mitra holds as many slots as she does."""

from datetime import datetime
from uuid import UUID

import pytest
from services.chat.tests.world import World

from common.ids import new_id


async def since(world: World, mitra_id: UUID) -> datetime | None:
    """Ask as availability would."""
    moment: datetime | None = await world.admin.fetchval(
        "SELECT changed_at FROM chat.mitra_load_v2(ARRAY[$1::uuid])", mitra_id
    )
    return moment


@pytest.mark.req("AV-13")
async def test_each_change_of_load_is_a_new_since(world: World) -> None:
    """A slot taken and a slot given back move it; whoever was never seen here has none."""
    mitra_id = await world.mitra(capacity=2)
    at_first = await since(world, mitra_id)
    assert at_first is not None

    await world.pending(mitra_id)
    held = await since(world, mitra_id)
    assert held is not None
    assert held > at_first
    # Whatever changes neither slots nor capacity leaves it alone.
    await world.admin.execute("UPDATE chat.mitra_load SET capacity_from = 'auth'")
    assert await since(world, mitra_id) == held

    await world.admin.execute(
        "UPDATE chat.sessions SET state = 'cancelled', slot = NULL, completed_at = now(),"
        " ended_reason = 'x' WHERE mitra_id = $1",
        mitra_id,
    )
    freed = await since(world, mitra_id)
    assert freed is not None
    assert freed > held
    assert await since(world, new_id()) is None


@pytest.mark.req("AV-13")
async def test_the_second_version_counts_as_the_first(world: World) -> None:
    """Load, capacity and version are those of v1, known or not."""
    one, other = await world.mitra(capacity=4), new_id()
    await world.pending(one)
    both = [one, other]
    first = await world.admin.fetch("SELECT * FROM chat.mitra_load_v1($1::uuid[])", both)
    second = await world.admin.fetch(
        "SELECT mitra_id, load, capacity, version FROM chat.mitra_load_v2($1::uuid[])", both
    )
    assert sorted(map(tuple, first)) == sorted(map(tuple, second))
