"""Events that are handled together: how many statements, and what one bad one does to the rest."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from libs.common.tests.bus_stage import Thing, fresh_subject, publish, waiting
from nats.aio.msg import Msg

from common import baseline
from common.bus import Bus, Delivery
from common.bus.consume import Consumer
from common.bus.hands import Singly, Together
from common.bus.settle import Settler
from common.db import Database, Unavailable
from common.runner import Runner
from common.testing import eventually

_taken: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what each consumer has in hand: the server counts what it has only sent."""
    take = Together.take

    def noted(hands: Together, message: Msg) -> None:
        take(hands, message)
        _taken[hands._consumer] += 1

    monkeypatch.setattr(Together, "take", noted)


class Gatherer:
    """A consumer that takes all that wait; each run can be held back and made to fail."""

    def __init__(self, bus: Bus, *, durable: str | None = None, subject: str | None = None) -> None:
        self.durable = durable or f"test-{uuid4().hex}"
        self.subject = subject or fresh_subject()
        self.runs: list[list[UUID]] = []
        self.failing: dict[UUID, Exception] = {}
        self.go_on = asyncio.Event()
        self.go_on.set()
        bus.gather(stream="AUTH", durable=self.durable, subjects=[self.subject], handler=self._take)

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        self.runs.append([delivery.id for delivery in deliveries])
        await self.go_on.wait()
        for delivery in deliveries:
            if (error := self.failing.get(delivery.id)) is not None:
                raise error
            delivery.parse(Thing)

    def alone(self, event_id: UUID) -> int:
        """How many runs were for this event only."""
        return self.runs.count([event_id])

    def seen(self) -> set[UUID]:
        """Every event that reached the handler."""
        return {event_id for run in self.runs for event_id in run}


async def left(bus: Bus, durable: str) -> int:
    """How many events the server has not heard an answer for, or not delivered yet."""
    client = bus._link.client
    assert client is not None
    info = await client.jetstream().consumer_info("AUTH", durable)
    return (info.num_ack_pending or 0) + (info.num_pending or 0)


async def answered(bus: Bus, durable: str) -> None:
    """Wait until the server has an answer for every event."""

    async def nothing_left() -> bool:
        return await left(bus, durable) == 0

    # Five deliveries of a failing one, each of which may wait for a fetch to end (1 s).
    await eventually(nothing_left, timeout=60)


async def held_with(gatherer: Gatherer, bus: Bus, bodies: Sequence[bytes | None]) -> list[UUID]:
    """Hold one run back, publish these meanwhile, and return their ids once all have arrived."""
    gatherer.go_on.clear()
    await publish(bus, gatherer.subject)
    await eventually(lambda: len(gatherer.runs) == 1)
    told = [await publish(bus, gatherer.subject, body=body) for body in bodies]
    await eventually(lambda: _taken[gatherer.durable] == 1 + len(bodies))
    return told


@pytest.mark.req("AV-10")
async def test_a_burst_is_two_runs(bus: Bus, db: Database) -> None:
    """Whatever comes while one run is under way is the next one's, all of it; then all is acked."""
    bus.bury_in(db)
    gatherer = Gatherer(bus)

    told = await held_with(gatherer, bus, [None] * 60)
    gatherer.go_on.set()
    await answered(bus, gatherer.durable)

    assert [len(run) for run in gatherer.runs] == [1, 60]
    assert gatherer.runs[1] == told


@pytest.mark.parametrize("poison", [b'{"thing_id": 7}', None], ids=["malformed", "failing"])
@pytest.mark.req("AV-10")
async def test_one_bad_event_takes_none_with_it(
    bus: Bus, db: Database, poison: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails is done again one by one: the bad one is buried, the others are handled."""
    monkeypatch.setattr(baseline, "CONSUMER_BACKOFF", (0.01, 0.02, 0.05))
    bus.bury_in(db)
    gatherer = Gatherer(bus)

    told = await held_with(gatherer, bus, [None, poison, None])
    reason = "malformed"
    if poison is None:
        gatherer.failing[told[1]] = RuntimeError("never works")
        reason = "exhausted"
    gatherer.go_on.set()
    await answered(bus, gatherer.durable)

    assert await waiting(db, gatherer.durable) == [(told[1], reason)]
    assert gatherer.alone(told[0]) == gatherer.alone(told[2]) == 1
    assert gatherer.alone(told[1]) == (1 if reason == "malformed" else baseline.CONSUMER_BURY_AT)


async def test_an_outage_of_postgres_holds_them_together(
    bus: Bus, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Postgres is away nothing is split, refused or buried; afterwards all are handled."""
    bus.bury_in(db)
    letters = bus._letters
    assert letters is not None
    away = True

    async def reachable() -> bool:
        return not away

    monkeypatch.setattr(letters, "reachable", reachable)
    monkeypatch.setattr("common.bus.settle._HOLD", (0.01, 0.02))
    gatherer = Gatherer(bus)
    told = await held_with(gatherer, bus, [None] * 5)
    gatherer.failing[told[0]] = Unavailable()
    gatherer.go_on.set()
    await eventually(lambda: gatherer.runs.count(told) > baseline.CONSUMER_MAX_DELIVER + 3)
    away = False
    del gatherer.failing[told[0]]
    await answered(bus, gatherer.durable)

    assert gatherer.alone(told[0]) == 0
    assert await waiting(db, gatherer.durable) == []


async def test_what_takes_long_does_not_come_again(
    bus: Bus, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds many events tells the server in time that none of them is lost."""
    monkeypatch.setattr(baseline, "CONSUMER_ACK_WAIT", 5.0)
    monkeypatch.setattr("common.bus.hands._KEEP_EVERY", 0.2)
    bus.bury_in(db)
    gatherer = Gatherer(bus)

    told = await held_with(gatherer, bus, [None] * 3)
    await asyncio.sleep(5.5)  # the work itself, longer than the wait for its answer
    gatherer.go_on.set()
    await answered(bus, gatherer.durable)

    assert [len(run) for run in gatherer.runs] == [1, 3]
    assert gatherer.runs[1] == told


async def test_who_stops_gives_back_what_it_holds(
    nats_url: str, bus: Bus, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica has the events at once, not after 30 s: none comes back to who stops."""
    monkeypatch.setattr(baseline, "CONSUMER_FETCH_TIMEOUT", 5.0)
    runner = Runner()
    first = await Bus.connect(nats_url, name="first", runner=runner)
    assert await first.until_up(20)
    first.bury_in(db)
    bus.bury_in(db)
    gatherer = Gatherer(first)
    told = await held_with(gatherer, first, [None] * 3)

    await runner.stop(budget=8)
    heir = Gatherer(bus, durable=gatherer.durable, subject=gatherer.subject)
    await eventually(lambda: heir.seen() >= set(told))
    await answered(bus, heir.durable)


async def test_a_consumer_of_before_learns_the_larger_hand(bus: Bus, runner: Runner) -> None:
    """A durable that was made for single events is widened in place, and keeps its place."""
    durable, subject = f"test-{uuid4().hex}", fresh_subject()
    client = bus._link.client
    assert client is not None

    async def nothing(_deliveries: Sequence[Delivery]) -> None:
        return None

    for kind in (Singly, Together):
        settler = Settler(
            runner=runner, consumer=durable, handle=nothing, dead_letters=lambda: None
        )
        consumer = Consumer(
            link=bus._link,
            runner=runner,
            stream="AUTH",
            durable=durable,
            subjects=[subject],
            hands=kind(consumer=durable, runner=runner, settler=settler),
            dead_letters=lambda: None,
        )
        await consumer._ensure()
        config = (await client.jetstream().consumer_info("AUTH", durable)).config
        assert config.max_ack_pending == kind.max_ack_pending
