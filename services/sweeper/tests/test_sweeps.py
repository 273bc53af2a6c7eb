"""Promises of the sweeps: bounded, repeatable, and nothing in doubt."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from services.sweeper.tests.fakes import (
    FakeBrakes,
    FakeHeartbeats,
    FakeOwners,
    FakePresence,
    FakeTruth,
    NoMeter,
    lost,
    mine,
    turn,
)
from typing_extensions import override

from common.testing.clock import FakeClock
from mirror import BeatCursor
from sweeper.domain import AUTO_OFFLINE, Brake, Due, Picture, Stale, Swept
from sweeper.errors import LeaseLost
from sweeper.handlers.sweeps import AutoOffline, DueDeadlines, HeartbeatFlush

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def picture(gone: int, *, online: int, fresh: int) -> Picture:
    """Make what the mirror shows."""
    stale = tuple(Stale(UUID(int=n), status_version=n, seen_at_ms=n) for n in range(gone))
    return Picture(stale=stale, candidates=gone, online=online, fresh=fresh)


def auto_offline(
    shown: Picture | None, owners: FakeOwners, brakes: FakeBrakes | None = None
) -> AutoOffline:
    """Wire the sweep."""
    return AutoOffline(
        presence=FakePresence(shown),
        owners=owners,
        brakes=brakes or FakeBrakes(),
        meter=NoMeter(),
        batch=2,
    )


def due(count: int) -> list[Due]:
    """Make rows that are due."""
    return [Due(kind="offer", id=UUID(int=n), due_at=NOW) for n in range(count)]


class Lamp(NoMeter):
    """Shows whether the brake is on."""

    on: bool | None = None

    @override
    def braked(self, sweep: str, *, on: bool) -> None:
        """Show it."""
        self.on = on


@pytest.mark.req("SW-01")
async def test_a_skipped_pass_shows_the_brake_as_it_is() -> None:
    """Nobody can look: a brake that still counts stays shown, one that is void by now does not."""
    brakes, lamp = FakeBrakes(), Lamp()
    blind = AutoOffline(
        presence=FakePresence(None), owners=FakeOwners(), brakes=brakes, meter=lamp, batch=2
    )
    for kept in (Brake(mitra_ids=frozenset(), confirmed=False), None):
        brakes.kept = kept
        await blind(turn(), mine)
        assert lamp.on is (kept is not None)


@pytest.mark.req("SW-01")
async def test_no_mirror_no_pass() -> None:
    """Without a mirror nobody is taken offline, and the pass says why."""
    owners = FakeOwners()

    assert await auto_offline(None, owners)(turn(), mine) == Swept.nothing("it was never seeded")
    assert owners.offline == []


@pytest.mark.req("SW-01")
async def test_stale_go_in_bites_with_the_fence() -> None:
    """The stale ones go to their owner in bites, each with the lease's fence."""
    owners = FakeOwners()
    swept = await auto_offline(picture(3, online=90, fresh=80), owners)(turn(fence=7), mine)

    assert swept == Swept(count=3)
    assert owners.fences == [7, 7]


@pytest.mark.req("SW-01")
async def test_the_brake_holds_once() -> None:
    """A pass that would hit too many stops; the next one, with a fresh majority, goes on."""
    owners, brakes = FakeOwners(), FakeBrakes()
    sweep = auto_offline(picture(30, online=100, fresh=70), owners, brakes)
    first = await sweep(turn(slot=1), mine)

    assert first == Swept.nothing("brake")
    assert owners.offline == []
    assert await sweep(turn(slot=2), mine) == Swept(count=30)
    assert brakes.kept is None


@pytest.mark.req("SW-01")
async def test_without_a_fresh_majority_only_an_operator_confirms() -> None:
    """While most beats are missing no pass confirms itself, however often it runs."""
    owners, brakes = FakeOwners(), FakeBrakes()
    sweep = auto_offline(picture(60, online=100, fresh=40), owners, brakes)
    for slot in range(5):
        await sweep(turn(slot=slot), mine)
    assert owners.offline == []

    brakes.confirm()
    assert await sweep(turn(AUTO_OFFLINE, slot=9), mine) == Swept(count=60)


@pytest.mark.req("SW-05")
async def test_a_lost_lease_stops_the_pass() -> None:
    """Who lost the lease sends nothing more."""
    owners = FakeOwners()
    with pytest.raises(LeaseLost):
        await auto_offline(picture(3, online=90, fresh=80), owners)(turn(), lost)
    with pytest.raises(LeaseLost):
        await deadlines(owners, 3)(turn(), lost)

    assert owners.fences == []


def deadlines(owners: FakeOwners, rows: int, *, shards: int = 1) -> DueDeadlines:
    """Wire the sweep."""
    truth = FakeTruth(rows=due(rows))
    return DueDeadlines(
        owner="pairing", truth=truth, owners=owners, shards=shards, limit=100, batch=4
    )


@pytest.mark.req("SW-04")
async def test_due_rows_go_in_bites() -> None:
    """Everything due goes to the owner, in bites."""
    owners = FakeOwners()
    swept = await deadlines(owners, 10)(turn(), mine)

    assert swept == Swept(count=10)
    assert sorted(len(bite) for bite in owners.settled) == [2, 4, 4]


@pytest.mark.req("SW-04", "SW-05")
async def test_shards_share_what_is_due() -> None:
    """Two shards together settle each row once."""
    owners = FakeOwners()
    sweep = deadlines(owners, 9, shards=2)
    for shard in (0, 1):
        await sweep(turn(shard=shard), mine)

    assert sorted(id_ for bite in owners.settled for id_ in bite) == [one.id for one in due(9)]


async def test_a_silent_bus_is_said_and_nothing_lost() -> None:
    """With the bus away the pass does nothing and names the reason."""
    swept = await deadlines(FakeOwners(silent=True), 3)(turn(), mine)

    assert swept == Swept.nothing("bus unavailable")


@pytest.mark.req("SW-02")
async def test_flush_writes_what_changed() -> None:
    """A flush writes every beat, page by page, and the next one what came in the last second."""
    beats = FakeHeartbeats(10_000, [(UUID(int=n), 1000 + 700 * n) for n in range(5)])
    truth = FakeTruth()
    sweep = HeartbeatFlush(heartbeats=beats, truth=truth, clock=FakeClock(), shards=1, batch=2)
    first = await sweep(turn(), mine)
    beats.kept.append((UUID(int=9), 4000))
    second = await sweep(turn(slot=2), mine)

    assert [first.count, second.count] == [5, 3]
    assert [age for _, age in truth.ages] == [9000, 8300, 7600, 6900, 6200, 6900, 6200, 6000]


@pytest.mark.req("SW-02", "AV-07")
async def test_no_beat_falls_between_two_flushes() -> None:
    """Neither one that stood in the place of another, nor one that reached the mirror late."""
    early, late, moved = UUID(int=1), UUID(int=2), UUID(int=3)
    beats = FakeHeartbeats(60_000, [(moved, 20_000)])
    truth = FakeTruth()
    sweep = HeartbeatFlush(heartbeats=beats, truth=truth, clock=FakeClock(), shards=1, batch=10)
    await sweep(turn(), mine)
    truth.ages.clear()
    # The last one seen beats again; two others came just before and just after her old place.
    beats.kept = [(late, 19_900), (early, 20_100), (moved, 30_000)]
    await sweep(turn(slot=2), mine)

    assert {mitra for mitra, _ in truth.ages} == {early, late, moved}


@pytest.mark.req("SW-02", "AV-07")
async def test_a_clock_that_goes_back_stops_no_flush() -> None:
    """Valkey's clock goes back by minutes: the beats that come then are written all the same."""
    mitra, other = UUID(int=1), UUID(int=2)
    beats = FakeHeartbeats(1_000_000, [(mitra, 999_000), (other, 1_003_000)])
    truth = FakeTruth()
    sweep = HeartbeatFlush(heartbeats=beats, truth=truth, clock=FakeClock(), shards=1, batch=1)
    await sweep(turn(), mine)
    truth.ages.clear()
    beats.now_ms, beats.kept = 700_000, [(mitra, 699_000), (other, 698_000)]
    await sweep(turn(slot=2), mine)

    assert {who for who, _ in truth.ages} == {mitra, other}


@pytest.mark.req("SW-02")
async def test_a_new_holder_flushes_everything() -> None:
    """Whoever takes a shard over begins from the first beat: the one before may have lost some."""
    beats = FakeHeartbeats(10_000, [(UUID(int=1), 1000)])
    sweep = HeartbeatFlush(
        heartbeats=beats, truth=FakeTruth(), clock=FakeClock(), shards=1, batch=2
    )
    await sweep(turn(fence=1), mine)
    await sweep(turn(fence=2), mine)

    assert beats.asked == [BeatCursor(), BeatCursor()]


@pytest.mark.req("SW-02")
async def test_flush_shards_share_the_mitras() -> None:
    """Two shards together write each mitra once."""
    beats = FakeHeartbeats(10_000, [(UUID(int=n), 1000 + n) for n in range(7)])
    truth = FakeTruth()
    for shard in (0, 1):
        sweep = HeartbeatFlush(
            heartbeats=beats, truth=truth, clock=FakeClock(), shards=2, batch=100
        )
        await sweep(turn(shard=shard), mine)

    assert sorted(mitra for mitra, _ in truth.ages) == [mitra for mitra, _ in beats.kept]
