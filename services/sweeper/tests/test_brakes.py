"""Promises of a stopped auto-offline pass: who may go on with it, for how long, and for whom."""

from uuid import UUID

import pytest
from services.sweeper.tests.fakes import FakeOwners, FakePresence, NoMeter, mine, turn

from common.db import Database
from sweeper.app import brakes_of
from sweeper.domain import AUTO_OFFLINE, Brake, Picture, Stale, Swept
from sweeper.handlers.sweeps import AutoOffline
from sweeper.settings import Settings
from sweeper.store import BrakeStore

VALID = 3600.0


def picture(*numbers: int, fresh: int = 99) -> Picture:
    """Show a hundred who are online, these of them silent."""
    stale = tuple(Stale(UUID(int=n), status_version=1, seen_at_ms=1) for n in numbers)
    return Picture(stale=stale, candidates=len(stale), online=100, fresh=fresh)


def named(*numbers: int) -> frozenset[UUID]:
    """Return the ids of these mitras."""
    return frozenset(UUID(int=n) for n in numbers)


@pytest.fixture
def brakes(db: Database) -> BrakeStore:
    """Brakes that are void after an hour."""
    return BrakeStore(db, valid_seconds=VALID)


async def later(db: Database, column: str, *, seconds: float = VALID) -> None:
    """Let time pass since a brake was raised or confirmed."""
    async with db.connection() as connection:
        await connection.execute(
            f"UPDATE brakes SET {column} = {column} - make_interval(secs => $1)", seconds
        )


def sweep_of(brakes: BrakeStore, owners: FakeOwners, shown: Picture) -> AutoOffline:
    """Wire the sweep with the real store."""
    return AutoOffline(
        presence=FakePresence(shown), owners=owners, brakes=brakes, meter=NoMeter(), batch=50
    )


@pytest.mark.req("SW-01")
async def test_a_brake_waits_for_its_confirmation(brakes: BrakeStore) -> None:
    """A stopped pass is remembered, confirmed once, and forgotten."""
    nothing = await brakes.confirm(AUTO_OFFLINE, by="someone")
    await brakes.put(AUTO_OFFLINE, picture(1))
    before = await brakes.find(AUTO_OFFLINE)
    confirmed = await brakes.confirm(AUTO_OFFLINE, by="someone")
    after = await brakes.find(AUTO_OFFLINE)
    await brakes.release(AUTO_OFFLINE)

    assert nothing is None
    assert confirmed == 1
    assert before == Brake(mitra_ids=named(1), confirmed=False)
    assert after == Brake(mitra_ids=named(1), confirmed=True)
    assert await brakes.find(AUTO_OFFLINE) is None


@pytest.mark.req("SW-01")
@pytest.mark.parametrize("column", ["raised_at", "confirmed_at"])
async def test_an_old_brake_is_none(db: Database, brakes: BrakeStore, column: str) -> None:
    """Neither the pass that was stopped nor an operator's word counts longer than it is valid."""
    await brakes.put(AUTO_OFFLINE, picture(1))
    await later(db, "raised_at", seconds=VALID - 60)
    if column == "confirmed_at":
        await brakes.confirm(AUTO_OFFLINE, by="someone")
        await later(db, "raised_at")
    still = await brakes.find(AUTO_OFFLINE)
    await later(db, column)

    assert still is not None
    assert await brakes.find(AUTO_OFFLINE) is None
    assert await brakes.confirm(AUTO_OFFLINE, by="someone") is None


@pytest.mark.req("SW-01")
async def test_a_confirmation_counts_from_when_it_was_given(
    db: Database, brakes: BrakeStore
) -> None:
    """However long ago the pass was stopped."""
    await brakes.put(AUTO_OFFLINE, picture(1))
    await brakes.confirm(AUTO_OFFLINE, by="someone")
    await later(db, "raised_at")

    assert await brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(1), confirmed=True)


@pytest.mark.req("SW-01")
async def test_a_brake_of_before_the_clock_went_back_is_none(
    db: Database, brakes: BrakeStore
) -> None:
    """A moment that lies ahead is not young for as long as the clock went back."""
    await brakes.put(AUTO_OFFLINE, picture(1))
    await later(db, "raised_at", seconds=-VALID)

    assert await brakes.find(AUTO_OFFLINE) is None


@pytest.mark.req("SW-01")
async def test_a_renewed_brake_counts_from_then_on(db: Database, brakes: BrakeStore) -> None:
    """A pass that is stopped again names whom it would hit now."""
    await brakes.put(AUTO_OFFLINE, picture(1, 2))
    await later(db, "raised_at", seconds=VALID - 60)
    await brakes.put(AUTO_OFFLINE, picture(2, 3))
    await later(db, "raised_at", seconds=VALID - 60)

    assert await brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(2, 3), confirmed=False)


@pytest.mark.req("SW-01")
async def test_nobody_is_confirmed_whom_the_operator_did_not_see(brakes: BrakeStore) -> None:
    """A pass that looked before the operator confirmed adds nobody to those she meant."""
    await brakes.put(AUTO_OFFLINE, picture(1))
    await brakes.confirm(AUTO_OFFLINE, by="someone")
    await brakes.put(AUTO_OFFLINE, picture(1, 2))

    assert await brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(1), confirmed=True)


@pytest.mark.req("SW-01")
async def test_an_old_confirmation_confirms_nobody(db: Database, brakes: BrakeStore) -> None:
    """The next mass event is stopped anew, whatever was confirmed before."""
    await brakes.put(AUTO_OFFLINE, picture(1))
    await brakes.confirm(AUTO_OFFLINE, by="someone")
    await later(db, "confirmed_at")
    await brakes.put(AUTO_OFFLINE, picture(1, 2))

    assert await brakes.find(AUTO_OFFLINE) == Brake(mitra_ids=named(1, 2), confirmed=False)


@pytest.mark.req("SW-01")
async def test_after_hours_of_skipped_passes_the_first_one_is_no_second(
    db: Database, brakes: BrakeStore
) -> None:
    """An old brake waves no mass event through, not even one of the mitras it named."""
    owners = FakeOwners()
    sweep = sweep_of(brakes, owners, picture(*range(30), fresh=70))
    await sweep(turn(slot=1), mine)
    await later(db, "raised_at")

    assert await sweep(turn(slot=2), mine) == Swept.nothing("brake")
    assert owners.offline == []
    assert await sweep(turn(slot=3), mine) == Swept(count=30)


@pytest.mark.req("SW-01", "SW-06")
async def test_a_brake_is_valid_for_two_cadences(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever cadence an operator chose."""
    monkeypatch.setenv("MITRA_AUTO_OFFLINE_SWEEP_SECONDS", "700")
    brakes = brakes_of(Settings(), db)
    await brakes.put(AUTO_OFFLINE, picture(1))
    async with db.connection() as connection:
        valid = await connection.fetchval("SELECT valid_seconds FROM brakes")

    assert valid == 1400
