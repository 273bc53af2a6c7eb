# ruff: noqa: FBT001 - Hypothesis hands its values over as it likes
"""Whatever happened, in whatever order: after quiescence the mirror equals a reseed from Postgres.

Facts are lost, held back and told late; Valkey is emptied, damaged, frozen, cut off, killed, and
comes back with old data; Postgres changes its history. All the while, what is left of a damaged
mirror is nobody's answer; and at last no beat is younger than it was sent, and none is lost.

It walks the same ways each time. To explore others, as often as you like:
`pytest libs/mirror/tests/test_machine.py --hypothesis-profile=default`; what fails is printed as a
program that may be run again.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from libs.mirror.tests.conftest import VALKEY
from libs.mirror.tests.heard import SILENT_SECONDS, Heard, now_ms
from libs.mirror.tests.scene import Scene

from common import baseline
from mirror import BeatOutcome, MirrorUnavailable, healing, record_beats
from mirror.values import MirrorRow

ways = st.sampled_from(["told", "lost", "held"])
KEYS = ("online", "available", "deactivated", "load", "versions", "seed")
DAMAGING = ("online", "available", "seed")  # what the questions of `ask` need


class Machine(RuleBasedStateMachine):
    """Random owners, a random wire, a random Valkey."""

    scene: Scene
    mitras = Bundle("mitras")

    def __init__(self) -> None:
        super().__init__()
        self.held: list[list[MirrorRow]] = []
        self.everybody: list[UUID] = []
        self.heard = Heard()
        self.damaged = False
        self.run(self.scene.clean())

    def run(self, work: Any) -> Any:
        """Do it in our loop."""
        return self.scene.loop.run(work)

    @initialize(target=mitras)
    def begin(self) -> Any:
        """Start with a mirror of three mitras."""
        self.run(self.scene.mended())
        self.run(self.scene.raw.save())
        return multiple(*(self.added(online=n > 0) for n in range(3)))

    @rule(target=mitras, online=st.booleans(), active=st.booleans(), way=ways)
    def arrive(self, online: bool, active: bool, way: str) -> UUID:
        """Add a mitra."""
        mitra = self.added(online=online, active=active)
        self.tell(mitra, way)
        return mitra

    @rule(mitra=mitras, online=st.booleans(), way=ways)
    def wish(self, mitra: UUID, online: bool, way: str) -> None:
        """Let her go online or offline."""
        world = self.scene.world
        if online:
            self.run(world.online(mitra, beat_age=SILENT_SECONDS))
            self.heard.said(mitra, seconds_ago=SILENT_SECONDS)
        else:
            self.run(world.offline(mitra))
        self.heard.may_be_lost(mitra)
        self.tell(mitra, way)

    @rule(mitra=mitras, active=st.booleans(), way=ways)
    def switch(self, mitra: UUID, active: bool, way: str) -> None:
        """Switch her off or on."""
        self.run(self.scene.world.active(mitra, active=active))
        self.heard.may_be_lost(mitra)
        self.tell(mitra, way)

    @rule(mitra=mitras, load=st.integers(0, 4), capacity=st.integers(1, 4), way=ways)
    def work(self, mitra: UUID, load: int, capacity: int, way: str) -> None:
        """Change her slots or her capacity."""
        self.run(self.scene.world.load(mitra, load, capacity=capacity))
        self.tell(mitra, way)

    @rule()
    def beat(self) -> None:
        """Let all of them beat."""
        sent = now_ms()
        outcomes = self.run(self.scene.beaten(self.everybody))
        for mitra, outcome in zip(self.everybody, outcomes, strict=True):
            self.heard.said(mitra)
            if outcome == BeatOutcome.RECORDED:
                self.heard.recorded(mitra, sent)

    @rule(mitra=mitras)
    def beat_elsewhere(self, mitra: UUID) -> None:
        """Let her beat where nobody reaches Valkey."""
        self.run(record_beats(self.scene.db, [(mitra, 0.0)]))
        self.heard.said(mitra)

    @rule(place=st.integers(0, 20), twice=st.booleans())
    def tell_late(self, place: int, twice: bool) -> None:
        """Tell what was held back, perhaps twice."""
        if self.held:
            rows = self.held.pop(place % len(self.held))
            self.heard.may_be_lost(*(row.mitra_id for row in rows))
            for _ in range(1 + twice):
                self.run(self.apply(rows))

    @rule()
    def empty_valkey(self) -> None:
        """Erase everything."""
        self.damaged = True
        self.heard.all_may_be_lost()
        self.run(self.scene.raw.flushall())

    @rule(key=st.sampled_from(KEYS))
    def damage(self, key: str) -> None:
        """Erase one key."""
        self.damaged |= key in DAMAGING
        self.heard.all_may_be_lost()
        self.run(self.scene.raw.delete("{mitras}:" + key))

    @rule(with_data=st.booleans())
    def kill(self, with_data: bool) -> None:
        """Kill the server; it comes back empty, or as it was after a seeding."""
        self.damaged = True
        self.heard.all_may_be_lost()
        self.run(self.scene.restarted(with_data=with_data))
        self.ask()

    @rule()
    def freeze(self) -> None:
        """Hold everything back: what was sent may arrive later."""
        self.scene.proxy.blackhole()

    @rule()
    def thaw(self) -> None:
        """Let it through."""
        self.scene.proxy.heal()
        self.run(self.scene.connected())

    @rule()
    def reconnect(self) -> None:
        """Cut the connection."""
        self.scene.proxy.reset()

    @rule()
    def mend(self) -> None:
        """Look after the mirror."""
        self.looked_after(self.scene.kit.seeder.mend())

    @rule()
    def ask(self) -> None:
        """Ask as everybody does: what is left of a damaged mirror is nobody's answer."""
        found = set(self.run(self.scene.kit.presence.find_available(50)))
        counts = self.run(self.scene.kit.presence.counts())
        if self.damaged:
            assert counts.source == "postgres"
            assert found == self.run(self.scene.available())

    @rule()
    def step(self) -> None:
        """Reconcile a part."""
        self.run(self.guarded(self.scene.kit.seeder.reconcile()))

    @rule()
    def reseed(self) -> None:
        """Rebuild."""
        self.looked_after(self.scene.kit.seeder.reseed("test"))

    @rule(mitra=mitras, online=st.booleans())
    def fail_over(self, mitra: UUID, online: bool) -> None:
        """Postgres came back older: her version is lower than what was told."""
        self.run(self.scene.world.new_history())
        self.run(
            self.scene.admin.execute(
                "UPDATE availability.mitra_status SET version = 1, is_online = $2,"
                " went_online_at = clock_timestamp(), last_heartbeat_at = clock_timestamp()"
                " WHERE mitra_id = $1",
                mitra,
                online,
            )
        )
        self.heard.said(mitra)
        self.heard.may_be_lost(mitra)

    def added(self, *, online: bool, active: bool = True) -> UUID:
        """Add a mitra whose last beat, if she is online, lies back a little."""
        mitra: UUID = self.run(
            self.scene.world.mitra(online=online, active=active, beat_age=SILENT_SECONDS)
        )
        self.everybody.append(mitra)
        self.heard.said(mitra, seconds_ago=SILENT_SECONDS)
        return mitra

    def looked_after(self, work: Any) -> None:
        """Do it if Valkey can be asked; then it is whole, and hears all of them."""
        if self.run(self.guarded(work)) is not None:
            self.damaged = False
            self.run(self.scene.raw.save())
            self.beat()

    def tell(self, mitra: UUID, way: str) -> None:
        """Tell the mirror, or lose it, or hold it back."""
        if way == "lost":
            return
        rows = self.run(self.scene.truth.rows_of([mitra]))
        if way == "held":
            self.held.append(rows)
        else:
            self.run(self.apply(rows))

    async def apply(self, rows: list[MirrorRow]) -> None:
        """Tell these facts."""
        await self.guarded(
            self.scene.kit.mirror.apply([fact for row in rows for fact in row.facts()])
        )

    async def guarded(self, work: Any) -> Any:
        """Do it if Valkey is a mirror."""
        try:
            return await work
        except MirrorUnavailable:
            return None

    def behind(self) -> list[str]:
        """Who is older in the mirror than in Postgres."""
        read_at = now_ms()
        return self.heard.behind(*self.beats(), read_at)

    def teardown(self) -> None:
        """Come to rest, then compare with the truth and with a fresh reseed."""
        self.thaw()
        for rows in self.held:
            self.heard.may_be_lost(*(row.mitra_id for row in rows))
            self.run(self.apply(rows))
        self.run(self.scene.mended())
        for _ in range(2):
            self.run(self.scene.compared())
        self.run(self.scene.mended())
        settled = self.run(self.scene.dump())
        drift = self.run(self.scene.drift())
        behind = self.behind()
        self.run(self.scene.raw.flushall())
        self.heard.all_may_be_lost()
        self.run(self.scene.mended())

        assert drift == []
        assert settled == self.run(self.scene.dump())
        assert behind + self.behind() == []
        self.no_beat_is_wrong()

    @invariant()
    def no_beat_is_wrong(self) -> None:
        """None is younger in the mirror than it was sent; what was recorded is known to one."""
        assert self.heard.wrong(*self.beats()) == []

    def beats(self) -> tuple[dict[UUID, float], list[MirrorRow]]:
        """Return what the mirror and what Postgres knows of beats."""
        return self.run(self.scene.scores()), self.run(self.scene.rows())


@pytest.mark.req("AV-02", "AV-09", "AV-10")
def test_the_mirror_equals_a_reseed(
    database_url: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random owners, losses, delays, damage, crashes and failovers: mirror == reseed(Postgres)."""
    # What is held back is given up as soon as a service would, and then asked for again at once.
    for name, seconds in {**VALKEY, "VALKEY_BREAKER_OPEN": 0.05}.items():
        monkeypatch.setattr(baseline, name, seconds)
    # Whatever is on its way here is told by a rule: a second look need not wait for it.
    monkeypatch.setattr(healing, "_ON_THE_WAY", 0.0)
    Machine.scene = Scene(*database_url, tmp_path / "valkey")
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=15,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
    finally:
        Machine.scene.loop.run(Machine.scene.close())
        Machine.scene.loop.close()
