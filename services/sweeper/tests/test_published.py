"""What the sweeper publishes of a stopped pass, as availability asks for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest
from services.sweeper.tests.test_brakes import VALID, later, named, picture
from tests.support import Databases

from common.db import Database
from common.ids import new_id
from sweeper.domain import AUTO_OFFLINE, Brake, judge
from sweeper.store import BrakeStore

pytestmark = pytest.mark.req("SW-01")

OPERATOR = UUID(int=77)


@dataclass(frozen=True)
class Both:
    """The sweeper's own side, and availability's."""

    db: Database
    brakes: BrakeStore
    neighbour: asyncpg.Connection

    async def shown(self) -> asyncpg.Record | None:
        """Ask as availability does what is stopped now."""
        return await self.neighbour.fetchrow("SELECT * FROM sweeper.brake_v1()")

    async def seen(self) -> UUID:
        """Return the id of what is stopped now."""
        row = await self.shown()
        assert row is not None
        return UUID(str(row["brake_id"]))

    async def confirm(self, brake_id: UUID, *, by: UUID = OPERATOR) -> tuple[str, int] | None:
        """Confirm as availability does."""
        row = await self.neighbour.fetchrow(
            "SELECT * FROM sweeper.confirm_brake_v1($1, $2)", brake_id, by
        )
        return None if row is None else (row["outcome"], row["mitras"])


@pytest.fixture
async def both(databases: Databases) -> AsyncIterator[Both]:
    """A database as both have it."""
    clone = await databases.fresh("sweeper")
    db = await Database.connect(clone.url("sweeper"), name="test")
    async with clone.connect("availability") as neighbour:
        yield Both(db, BrakeStore(db, valid_seconds=VALID), neighbour)
    await db.close()
    await databases.drop(clone)


async def test_a_stopped_pass_is_shown(both: Both) -> None:
    """Who would go, of how many, and that nobody has confirmed it; nothing while nothing waits."""
    nothing = await both.shown()
    await both.brakes.put(AUTO_OFFLINE, picture(1, 2, fresh=40))
    row = await both.shown()

    assert nothing is None
    assert row is not None
    assert frozenset(row["mitra_ids"]) == named(1, 2)
    assert (row["mitras"], row["online"], row["fresh"]) == (2, 100, 40)
    assert (row["confirmed_at"], row["confirmed_by"]) == (None, None)


async def test_a_sweeper_of_the_release_before_is_told_apart_all_the_same(both: Both) -> None:
    """It names others under the same id, renews no time and keeps the word that was given."""
    await both.brakes.put(AUTO_OFFLINE, picture(1, 2))
    seen = await both.seen()
    await both.confirm(seen)
    await later(both.db, "raised_at", seconds=VALID / 2)
    async with both.db.connection() as connection:
        await connection.execute(
            "INSERT INTO brakes (sweep, mitra_ids, online, fresh) VALUES ($1, $2::uuid[], 9, 0)"
            " ON CONFLICT (sweep) DO UPDATE SET mitra_ids = excluded.mitra_ids,"
            " online = excluded.online, fresh = excluded.fresh",
            AUTO_OFFLINE,
            list(named(1, 3)),
        )
    await later(both.db, "raised_at", seconds=VALID * 0.75)

    row = await both.shown()
    assert row is not None
    assert (row["brake_id"] != seen, row["confirmed_at"]) == (True, None)
    assert await both.confirm(seen) == ("another", 2)


@pytest.mark.parametrize("fresh", [49, 50])
async def test_it_says_whether_an_operator_is_needed(both: Both, fresh: int) -> None:
    """As the next pass will judge it; not any more once one has confirmed."""
    seen = picture(*range(40), fresh=fresh)
    await both.brakes.put(AUTO_OFFLINE, seen)
    row = await both.shown()
    assert row is not None
    waits = judge(seen, await both.brakes.find(AUTO_OFFLINE)).raise_brake
    await both.confirm(row["brake_id"])
    after = await both.shown()

    assert row["needs_operator"] == waits
    assert after is not None
    assert not after["needs_operator"]


async def test_an_operator_confirms_what_she_saw(both: Both) -> None:
    """Once: the first word stays, whoever repeats it; the next pass may go on."""
    await both.brakes.put(AUTO_OFFLINE, picture(1, 2))
    brake_id = await both.seen()
    answers = [await both.confirm(brake_id), await both.confirm(brake_id, by=new_id())]
    row = await both.shown()

    assert answers == [("confirmed", 2), ("confirmed", 2)]
    assert row is not None
    assert row["confirmed_by"] == str(OPERATOR)
    assert await both.brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(1, 2), confirmed=True)


async def test_what_she_did_not_see_is_not_confirmed(both: Both) -> None:
    """Somebody else is named meanwhile: it is another brake, and waits."""
    await both.brakes.put(AUTO_OFFLINE, picture(1, 2))
    seen = await both.seen()
    await both.brakes.put(AUTO_OFFLINE, picture(1, 3))

    assert await both.confirm(seen) == ("another", 2)
    assert await both.brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(1, 3), confirmed=False)


async def test_a_pass_that_names_nobody_new_is_the_same_brake(both: Both) -> None:
    """While she reads, passes go on being stopped: she need not look again for fewer."""
    await both.brakes.put(AUTO_OFFLINE, picture(1, 2, 3))
    before = await both.shown()
    await both.brakes.put(AUTO_OFFLINE, picture(1, 3))
    after = await both.shown()

    assert before is not None
    assert after is not None
    assert (after["brake_id"], after["since"]) == (before["brake_id"], before["since"])
    assert after["raised_at"] > before["raised_at"]
    assert await both.confirm(before["brake_id"]) == ("confirmed", 2)


async def test_nothing_waits_nothing_is_confirmed(both: Both) -> None:
    """Neither a brake that was never raised, nor a void one, nor one that was dealt with."""
    never = await both.confirm(new_id())
    await both.brakes.put(AUTO_OFFLINE, picture(1))
    seen = await both.seen()
    await later(both.db, "raised_at")
    void = await both.shown(), await both.confirm(seen)
    await both.brakes.put(AUTO_OFFLINE, picture(1))
    another = await both.confirm(seen)
    await both.brakes.release(AUTO_OFFLINE)

    assert never is None
    assert void == (None, None)
    assert another == ("another", 1)
    assert await both.confirm(seen) is None
