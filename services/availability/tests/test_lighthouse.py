"""The beacon and the loads: every replica can answer for them, one tells them; no server."""

import asyncio
from datetime import datetime, timedelta
from typing import cast

import orjson
import pytest
from services.availability.tests.fakes import (
    FakeClock,
    FakeHours,
    FakeLeases,
    FakeMirror,
    FakePresence,
)

from availability.handlers import Beacons, Histograms, Lighthouse
from availability.handlers.histograms import Taken
from common.db import Unavailable
from common.ids import new_id
from mirror import Counts, Histogram, Mirror, Presence
from mirror.plan import OPEN, Service


class Coast:
    """Two replicas with one lease and one mirror."""

    def __init__(self) -> None:
        self.clock, self.presence = FakeClock(), FakePresence()
        self.mirror, self.leases = FakeMirror(), FakeLeases()
        self.hours = FakeHours()
        self.told: list[dict[str, object]] = []
        self.first, self.second = self.lighthouse(), self.lighthouse()

    def lighthouse(self) -> Lighthouse:
        """Make one replica's."""
        beacons = Beacons(
            presence=cast("Presence", self.presence), hours=self.hours, clock=self.clock
        )
        return Lighthouse(
            beacons=beacons,
            histograms=Histograms(presence=cast("Presence", self.presence), clock=self.clock),
            mirror=cast("Mirror", self.mirror),
            leases=self.leases,
            tell=lambda _subject, body: self.told.append(orjson.loads(body)),
            clock=self.clock,
            holder=new_id(),
        )

    def count(self, available: int, *, reachable: int = 5) -> None:
        """Set the truth."""
        self.presence.answer = Counts(5, reachable, available, source="mirror")

    async def second_passes(self) -> None:
        """Let both do their step of the next second."""
        self.clock.pass_(1)
        await self.first.step()
        await self.second.step()


@pytest.mark.req("AV-11")
async def test_one_replica_tells_and_only_news() -> None:
    """Each change of state once; a count at most every two seconds."""
    coast = Coast()
    for available in (0, 0, 1, 2, 3, 3, 3, 0):
        coast.count(available)
        await coast.second_passes()

    assert [(one["state"], one["count"]) for one in coast.told] == [
        ("all_busy", 0),
        ("available", 1),
        ("available", 3),
        ("all_busy", 0),
    ]


@pytest.mark.req("AV-11")
async def test_what_is_still_so_is_kept_as_of_now() -> None:
    """Nothing changes for ten minutes: whoever looks then is not shown a beacon of ten minutes."""
    coast = Coast()
    coast.count(2)
    for _ in range(600):
        await coast.second_passes()

    assert len(coast.told) == 1
    assert coast.mirror.kept is not None
    kept = orjson.loads(coast.mirror.kept)
    assert (kept["state"], kept["count"]) == ("available", 2)
    assert datetime.fromisoformat(kept["as_of"]) == coast.clock.now()


@pytest.mark.req("AV-11")
async def test_who_takes_over_tells_what_is_news_to_the_others() -> None:
    """The next leader compares with what was told last, not with what it knew itself."""
    coast = Coast()
    coast.count(1)
    await coast.second_passes()
    coast.leases.holder = None
    coast.clock.pass_(1)
    assert not await coast.second.step(), "the same again is no news"
    coast.leases.holder = None
    coast.count(0)
    coast.clock.pass_(1)
    assert await coast.first.step()
    coast.leases.holder = None
    coast.mirror.kept = None
    coast.clock.pass_(1)
    assert await coast.second.step(), "nobody remembers: better told twice than not"


@pytest.mark.req("AV-07", "CC-02")
async def test_the_loads_are_counted_once_in_five_seconds() -> None:
    """Whoever asks gets them with their age; while neither store answers nobody makes them up."""
    clock, presence = FakeClock(), FakePresence()
    histograms = Histograms(presence=cast("Presence", presence), clock=clock)
    first = clock.now()
    crowd = await asyncio.gather(*(histograms.latest() for _ in range(50)))
    assert {one and one.as_of for one in crowd} == {first}
    presence.loads = Histogram({1: 2}, source="postgres")
    clock.pass_(4.9)
    assert await histograms.latest() == Taken(Histogram({0: 2}, source="mirror"), first)
    clock.pass_(0.2)
    assert await histograms.latest() == Taken(presence.loads, clock.now())
    assert presence.looked == 2

    presence.away = True
    clock.pass_(5)
    assert await histograms.latest() is None


async def test_the_snapshot_says_who_counted_the_loads() -> None:
    """What the leader keeps for all comes with its age and its source; loads hinder no beacon."""
    coast = Coast()
    coast.presence.loads = Histogram({0: 1, 3: 2}, source="postgres")
    await coast.second_passes()
    snapshot = await coast.second.snapshot()
    assert snapshot is not None
    assert snapshot.taken() == Taken(coast.presence.loads, coast.clock.now())
    coast.presence.away = True
    coast.clock.pass_(4)
    await coast.second_passes()
    snapshot = await coast.second.snapshot()

    assert snapshot is not None
    assert (snapshot.state, snapshot.taken()) == ("none_online", None)


@pytest.mark.req("AV-12")
async def test_one_replica_reads_the_loads_every_five_seconds() -> None:
    """Who leads reads the histogram, the other does not; in between its age is told with it."""
    coast, read, ages = Coast(), [], []
    for _ in range(11):
        await coast.second_passes()
        kept = await coast.second.snapshot()
        assert kept is not None
        assert kept.loads_as_of is not None
        read.append(coast.presence.looked)
        ages.append((coast.clock.now() - kept.loads_as_of).total_seconds())

    assert read == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]
    assert ages == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]


async def test_the_leader_goes_on_without_postgres_and_without_a_mirror() -> None:
    """The lease cannot be renewed, the snapshot not kept: customers still hear of a change."""
    coast = Coast()
    coast.count(1)
    await coast.second_passes()
    coast.leases.away = coast.mirror.away = True
    looked = coast.presence.looked
    coast.count(0)
    for _ in range(6):
        await coast.second_passes()

    assert coast.told[-1]["state"] == "all_busy"
    assert coast.presence.looked == looked, "no loads are counted for nobody"


@pytest.mark.req("AV-11")
async def test_an_old_beacon_is_given_for_ten_seconds_at_most() -> None:
    """Neither mirror nor Postgres: what was known, then "come back later", never a guess."""
    clock, presence = FakeClock(), FakePresence()
    presence.answer = Counts(1, 1, 1, source="mirror")
    beacons = Beacons(presence=cast("Presence", presence), hours=FakeHours(), clock=clock)
    await beacons.now()
    presence.away = True
    clock.pass_(9.9)
    assert (await beacons.beacon()).count == 1
    clock.pass_(0.2)
    with pytest.raises(Unavailable):
        await beacons.now()


@pytest.mark.req("AV-07", "AV-11")
async def test_customers_who_ask_together_wait_for_one_failure() -> None:
    """Nobody answers: a crowd waits for it once, not each for one of her own; later asks anew."""
    clock, presence = FakeClock(), FakePresence()
    beacons = Beacons(presence=cast("Presence", presence), hours=FakeHours(), clock=clock)
    presence.away = True
    crowd = await asyncio.gather(*(beacons.now() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in crowd)
    assert presence.asked == 1
    presence.away = False
    assert (await beacons.now()).counts.available == 0

    presence.away = True
    clock.pass_(5)
    crowd = await asyncio.gather(*(beacons.now() for _ in range(50)))
    assert {one.read_at for one in crowd} == {clock.monotonic() - 5}
    assert presence.asked == 3


@pytest.mark.req("AV-06")
async def test_customers_who_ask_together_cost_one_question() -> None:
    """A crowd shares one answer; a change drops it at once."""
    clock, presence = FakeClock(), FakePresence()
    beacons = Beacons(presence=cast("Presence", presence), hours=FakeHours(), clock=clock)
    await asyncio.gather(*(beacons.now() for _ in range(100)))
    assert presence.asked == 1
    beacons.drop()
    await asyncio.gather(*(beacons.now() for _ in range(100)))
    assert presence.asked == 2
    clock.pass_(0.3)
    await beacons.now(max_age=timedelta(milliseconds=250))
    assert presence.asked == 3


@pytest.mark.req("AV-11", "AV-16")
async def test_a_closed_service_is_told_at_once_with_its_reason() -> None:
    """Closing, another opening time, and opening again are news, whatever the counts do."""
    coast = Coast()
    coast.count(3)
    await coast.second_passes()
    monday, tuesday = (coast.clock.now() + timedelta(days=n) for n in (1, 2))
    for service in (
        Service(is_open=False, why="switch"),
        Service(is_open=False, why="hours", opens_at=monday),
        Service(is_open=False, why="hours", opens_at=monday),
        Service(is_open=False, why="hours", opens_at=tuesday),
        OPEN,
    ):
        coast.hours.service = service
        await coast.second_passes()

    told = [(one["state"], one["count"], one["why"], one["opens_at"]) for one in coast.told[1:]]
    assert told == [
        ("disabled", 0, "switch", None),
        ("disabled", 0, "hours", monday.isoformat().replace("+00:00", "Z")),
        ("disabled", 0, "hours", tuesday.isoformat().replace("+00:00", "Z")),
        ("available", 3, None, None),
    ]


@pytest.mark.req("AV-16")
async def test_who_takes_over_a_closed_service_repeats_nothing() -> None:
    """What was kept says why it is closed, too: the next leader knows that all were told."""
    coast = Coast()
    coast.hours.service = Service(is_open=False, why="hours", opens_at=coast.clock.now())
    await coast.second_passes()
    coast.leases.holder = None
    coast.clock.pass_(1)

    assert not await coast.second.step()


@pytest.mark.req("AV-11", "AV-16")
async def test_a_closed_service_needs_neither_store() -> None:
    """Closed is closed, whoever is away; open again and nobody to ask: no guess."""
    clock, presence, hours = FakeClock(), FakePresence(), FakeHours()
    presence.away = True
    beacons = Beacons(presence=cast("Presence", presence), hours=hours, clock=clock)
    hours.service = Service(is_open=False, why="switch", opens_at=clock.now())
    beacon = await beacons.beacon()
    assert (beacon.state, beacon.why, beacon.opens_at) == ("disabled", "switch", clock.now())
    hours.service = OPEN
    with pytest.raises(Unavailable):
        await beacons.beacon()


@pytest.mark.req("AV-16")
async def test_a_service_that_closes_while_somebody_counts_is_closed() -> None:
    """What counts is the moment of the answer, not that of the question."""
    presence, hours = FakePresence(), FakeHours()
    presence.answer = Counts(1, 1, 1, source="mirror")
    beacons = Beacons(presence=cast("Presence", presence), hours=hours, clock=FakeClock())
    asking = asyncio.ensure_future(beacons.beacon())
    await asyncio.sleep(0)
    hours.service = Service(is_open=False, why="hours")

    assert (await asking).state == "disabled"
