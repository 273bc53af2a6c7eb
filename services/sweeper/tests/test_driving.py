"""Promises of the driver and of the settings: one failed pass stops nobody, cadences are given."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError
from services.sweeper.tests.fakes import NoMeter

from common import baseline
from common.db import Unavailable
from common.runner import Pulse, Runner
from common.testing.clock import FakeClock
from sweeper import jobs
from sweeper.app import plan_of
from sweeper.domain import Asked, Lease, Plan, Shard, Swept, Turn
from sweeper.errors import LeaseLost
from sweeper.handlers.driving import Driver
from sweeper.jobs import PAUSE_WITHOUT_POSTGRES, PatientWithPostgres
from sweeper.ports import Meter
from sweeper.providers.meter import PrometheusMeter
from sweeper.settings import Settings


@dataclass
class FakeLeases:
    """Grants every lease, unless it was taken over."""

    alive: int = 1
    taken_over: bool = False
    released: list[Lease] = field(default_factory=list)
    slot: int = 0

    async def enlist(self, holder: str, *, seconds: float) -> int:
        """Say how many replicas there are."""
        return self.alive

    async def renew(self, holder: str, leases: Collection[Lease], *, seconds: float) -> set[Lease]:
        """Keep everything, or nothing."""
        return set() if self.taken_over else set(leases)

    async def take(
        self, holder: str, shards: Collection[Shard], *, seconds: float, wanted: int
    ) -> set[Lease]:
        """Give as many as wanted, while nobody else has them."""
        chosen = [] if self.taken_over else sorted(shards)[:wanted]
        return {Lease(shard=shard, fence=1) for shard in chosen}

    async def release(self, holder: str, leases: Collection[Lease]) -> None:
        """Note what came back."""
        self.released += leases

    async def fire(self, holder: str, cadences: Mapping[Lease, float]) -> list[Asked]:
        """Give the next slot of each."""
        self.slot += 1
        return [
            Asked(lease=lease, turn=Turn(lease=lease, slot=self.slot), next_in=cadence)
            for lease, cadence in cadences.items()
        ]

    async def leave(self, holder: str) -> None:
        """Forget the holder."""


@dataclass
class Told:
    """Keeps what was told."""

    swept: list[Swept] = field(default_factory=list)

    async def record(self, turn: Turn, swept: Swept, *, holder: str, took_ms: int) -> None:
        """Keep one."""
        self.swept.append(swept)


class Stage:
    """A driver on a clock of its own; its passes run when the test says so."""

    def __init__(self, *, shards: int = 1, meter: Meter | None = None) -> None:
        self.clock = FakeClock()
        self.leases = FakeLeases()
        self.told = Told()
        self.passes: list[Coroutine[Any, Any, None]] = []
        self.outcome: Callable[[], Swept] = Swept
        self.still_mine: list[bool] = []
        self.driver = Driver(
            holder="me",
            plan=Plan(cadences={"sweep": 10.0}, shards={"sweep": shards}),
            sweeps={"sweep": self._sweep},
            leases=self.leases,
            runs=self.told,
            meter=meter or NoMeter(),
            clock=self.clock,
            spawn=lambda work, _name: self.passes.append(work),
            lease_seconds=5,
            report_seconds=0,
        )

    async def _sweep(self, _turn: Turn, still_mine: Callable[[], bool], /) -> Swept:
        self.still_mine.append(still_mine())
        return self.outcome()

    async def step(self) -> None:
        """Keep, drive, and run what was started."""
        await self.driver.keep()
        await self.driver.drive()
        while self.passes:
            await self.passes.pop()


def fails() -> Swept:
    """Raise as a sweep with a fault does."""
    raise RuntimeError("a fault")


async def test_a_failed_pass_is_told_once_and_the_next_runs() -> None:
    """A fault in one pass is told as a skip, once, and the sweep goes on."""
    stage = Stage()
    stage.outcome = fails
    for _ in range(3):
        await stage.step()
        stage.clock.advance(10)
    stage.outcome = lambda: Swept(count=2)
    await stage.step()

    assert stage.told.swept == [Swept.nothing("failed: RuntimeError"), Swept(count=2)]


async def test_a_lost_lease_is_told() -> None:
    """A pass that stopped because its lease was gone says so."""
    stage = Stage()

    def lose() -> Swept:
        raise LeaseLost("sweep")

    stage.outcome = lose
    await stage.step()

    assert stage.told.swept == [Swept.nothing("lease lost")]


@pytest.mark.req("SW-05")
async def test_after_a_freeze_nothing_is_ours() -> None:
    """Who slept longer than a lease is sure of none, before anybody told it so."""
    stage = Stage()
    await stage.driver.keep()
    await stage.driver.drive()
    stage.clock.advance(6)
    await stage.passes.pop()

    assert stage.still_mine == [False]
    assert stage.driver.holds() == frozenset()
    assert not stage.driver.is_current()


@pytest.mark.req("SW-05")
async def test_what_was_taken_over_is_dropped() -> None:
    """A lease that another replica took is driven no more."""
    stage = Stage(shards=3)
    await stage.step()
    stage.leases.taken_over = True
    await stage.step()

    assert stage.driver.holds() == frozenset()


@pytest.mark.req("SW-01")
@pytest.mark.parametrize("taken_over", [True, False])
async def test_a_brake_is_shown_by_whoever_drives(
    taken_over: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """An alert of a replica that drives no more would stay for ever."""
    meter = PrometheusMeter()
    stage = Stage(meter=meter)
    await stage.step()
    meter.braked("sweep", on=True)
    assert REGISTRY.get_sample_value("sweep_brake_on", {"sweep": "sweep"}) == 1
    stage.leases.taken_over, stage.leases.alive = taken_over, 2
    stage.driver._plan = Plan(cadences={"sweep": 10.0}, shards={"sweep": int(taken_over)})
    await stage.driver.keep()

    assert stage.driver.holds() == frozenset()
    assert REGISTRY.get_sample_value("sweep_brake_on", {"sweep": "sweep"}) is None


@pytest.mark.req("SW-05")
async def test_a_newcomer_gets_her_share() -> None:
    """When a second replica appears the first gives back what is more than its half."""
    stage = Stage(shards=4)
    await stage.step()
    stage.leases.alive = 2
    await stage.step()

    assert len(stage.driver.holds()) == 2
    assert len(stage.leases.released) == 2


class Noted(Runner):
    """A runner that starts nothing, and keeps how far apart its rounds come at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: dict[str, float] = {}

    def every(self, name: str, seconds: float, work: object, *, jitter: float = 0.1) -> Pulse:
        """Keep how often."""
        self.rounds[name] = seconds * (1 + jitter)
        return Pulse()

    def spawn(self, name: str, loop: object, *, patient: bool = False) -> None:
        """Start nothing."""


@pytest.mark.req("SW-05")
def test_a_lease_that_ran_out_is_taken_within_seven_seconds() -> None:
    """A dead holder's lives on for its life, a frozen one's transaction until its time-out.

    Each round of another replica takes what is free by then.
    """
    runner, life = Noted(), Settings.model_fields["lease_seconds"].default
    jobs.start(runner, Stage().driver, lease_seconds=life)
    frozen = baseline.PG_ROLE_SETTINGS["idle_in_transaction_session_timeout"]

    assert frozen.endswith("s")
    assert max(life, float(frozen[:-1])) + runner.rounds["keep leases"] < 7


async def test_a_stopping_replica_gives_everything_back() -> None:
    """At its end a replica keeps no lease."""
    stage = Stage(shards=4)
    await stage.step()
    await stage.driver.stop()
    await stage.driver.keep()

    assert len(stage.leases.released) == 4
    assert stage.driver.holds() == frozenset()


async def test_an_absent_postgres_is_waited_for() -> None:
    """Without Postgres the loop waits a moment and tries again."""
    patience = PatientWithPostgres("drive")

    async def away() -> float:
        raise Unavailable("gone")

    async def back() -> float:
        await asyncio.sleep(0)
        return 0.1

    assert await patience.run(away) == PAUSE_WITHOUT_POSTGRES
    assert await patience.run(back) == 0.1


@pytest.mark.req("SW-06")
def test_cadences_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cadence is an environment variable."""
    monkeypatch.setenv("MITRA_AUTO_OFFLINE_SWEEP_SECONDS", "7")
    monkeypatch.setenv("HEARTBEAT_MIRROR_INTERVAL_SECONDS", "3")
    monkeypatch.setenv("VALKEY_ONLINE_MIRROR_SWEEP_SECONDS", "90")
    monkeypatch.setenv("DUE_SWEEP_SECONDS", "0.25")
    monkeypatch.setenv("DUE_SHARDS", "3")
    plan = plan_of(Settings())

    assert plan.cadences["auto_offline"] == 7
    assert plan.cadences["heartbeat_flush"] == 3
    assert plan.cadences["reseed"] == 90
    assert plan.cadences["due_chat"] == 0.25
    assert [shard.number for shard in plan.all() if shard.sweep == "due_chat"] == [0, 1, 2]


@pytest.mark.req("SW-06")
def test_cadences_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word the cadences are 30, 15 and 300 seconds."""
    for name in ("MITRA_AUTO_OFFLINE_SWEEP", "HEARTBEAT_MIRROR_INTERVAL", "VALKEY_ONLINE_MIRROR"):
        monkeypatch.delenv(f"{name}_SECONDS", raising=False)
    plan = plan_of(Settings())

    assert [plan.cadences[name] for name in ("auto_offline", "heartbeat_flush", "reseed")] == [
        30,
        15,
        300,
    ]


@pytest.mark.parametrize(
    ("name", "seconds", "told"),
    [
        ("AUTO_OFFLINE_SECONDS", "50", "AUTO_OFFLINE_SECONDS must exceed FRESH_LIMIT_SECONDS"),
        ("HEARTBEAT_MIRROR_INTERVAL_SECONDS", "25", "FRESH_LIMIT_SECONDS must be at least"),
        ("HEARTBEAT_SECONDS", "60", "FRESH_LIMIT_SECONDS must be at least"),
    ],
)
def test_limits_must_fit(
    monkeypatch: pytest.MonkeyPatch, name: str, seconds: str, told: str
) -> None:
    """Limits within reach of a late flush are refused at the start, with the rule they break."""
    monkeypatch.setenv(name, seconds)
    with pytest.raises(ValidationError, match=told):
        Settings()
