"""Loads coalesce, the beacon is told by one; no server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import orjson
import pytest
from services.availability.tests.fakes import (
    FakeClock,
    FakeLeases,
    FakeLoads,
    FakeMirror,
    FakePresence,
)

from availability.handlers import Beacons, Lighthouse, Loads
from common.db import Unavailable
from common.ids import new_id
from common.runner import Runner
from mirror import Counts, Mirror, Presence


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is stopped at the end of the test."""
    running = Runner()
    yield running
    await running.stop(budget=1)


def loads_of(fake: FakeLoads, runner: Runner) -> Loads:
    """Wire the handler."""
    return Loads(store=fake, mirroring=fake, runner=runner, changed=lambda: None)


@pytest.mark.req("AV-10")
async def test_a_burst_is_two_statements(runner: Runner) -> None:
    """What gets dirty while one recompute is in flight goes into the next, all of it."""
    fake = FakeLoads()
    loads, mitras = loads_of(fake, runner), [new_id() for _ in range(200)]
    fake.go_on.clear()
    first = asyncio.create_task(loads.changed(mitras[0]))
    while not fake.statements:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(loads.changed(mitra)) for mitra in mitras for _ in range(5)]
    await asyncio.sleep(0)
    fake.go_on.set()
    await asyncio.gather(first, *rest)

    assert [len(one) for one in fake.statements] == [1, 200]


@pytest.mark.req("AV-10")
async def test_who_changes_while_she_is_read_is_read_again(runner: Runner) -> None:
    """The statement in flight may have read too early: her second event waits for the next."""
    fake, mitra = FakeLoads(), new_id()
    loads = loads_of(fake, runner)
    fake.go_on.clear()
    early = asyncio.create_task(loads.changed(mitra))
    while not fake.statements:
        await asyncio.sleep(0)
    late = asyncio.create_task(loads.changed(mitra))
    await asyncio.sleep(0)
    fake.go_on.set()
    await asyncio.gather(early, late)

    assert fake.statements == [{mitra}, {mitra}]
    assert [load.stamp.version for load in fake.told] == [1, 2]


async def test_an_event_fails_when_postgres_is_away_and_the_next_works(runner: Runner) -> None:
    """Not acknowledged, so it comes again; nothing is stuck behind it."""
    fake = FakeLoads()
    loads = loads_of(fake, runner)
    fake.down = True
    with pytest.raises(Unavailable):
        await loads.changed(new_id())
    fake.down = False
    await loads.changed(new_id())

    assert len(fake.told) == 1


class Coast:
    """Two replicas with one lease and one mirror."""

    def __init__(self) -> None:
        self.clock, self.presence = FakeClock(), FakePresence()
        self.mirror, self.leases = FakeMirror(), FakeLeases()
        self.told: list[dict[str, object]] = []
        self.first, self.second = self.lighthouse(), self.lighthouse()

    def lighthouse(self) -> Lighthouse:
        """Make one replica's."""
        beacons = Beacons(presence=cast("Presence", self.presence), clock=self.clock, is_open=True)
        return Lighthouse(
            beacons=beacons,
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


async def test_the_leader_goes_on_without_postgres_and_without_a_mirror() -> None:
    """The lease cannot be renewed, the snapshot not kept: customers still hear of a change."""
    coast = Coast()
    coast.count(1)
    await coast.second_passes()
    coast.leases.away = coast.mirror.away = True
    coast.count(0)
    await coast.second_passes()

    assert coast.told[-1]["state"] == "all_busy"


@pytest.mark.req("AV-11")
async def test_an_old_beacon_is_given_for_ten_seconds_at_most() -> None:
    """Neither mirror nor Postgres: what was known, then "come back later", never a guess."""
    clock, presence = FakeClock(), FakePresence()
    presence.answer = Counts(1, 1, 1, source="mirror")
    beacons = Beacons(presence=cast("Presence", presence), clock=clock, is_open=True)
    await beacons.now()
    presence.away = True
    clock.pass_(9.9)
    assert (await beacons.now()).beacon.count == 1
    clock.pass_(0.2)
    with pytest.raises(Unavailable):
        await beacons.now()


@pytest.mark.req("AV-06")
async def test_customers_who_ask_together_cost_one_question() -> None:
    """A crowd shares one answer; a change drops it at once."""
    clock, presence = FakeClock(), FakePresence()
    beacons = Beacons(presence=cast("Presence", presence), clock=clock, is_open=True)
    await asyncio.gather(*(beacons.now() for _ in range(100)))
    assert presence.asked == 1
    beacons.drop()
    await asyncio.gather(*(beacons.now() for _ in range(100)))
    assert presence.asked == 2
    clock.pass_(0.3)
    await beacons.now(max_age=timedelta(milliseconds=250))
    assert presence.asked == 3
