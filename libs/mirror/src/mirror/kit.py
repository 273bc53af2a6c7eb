"""What a service gets: opened once, in its app.py."""

from dataclasses import dataclass

from common.clock import Clock
from common.db import Database
from common.runner import Runner
from mirror.beating import Beats
from mirror.drift import DriftBook
from mirror.fallback import Bulkhead, WithFallback, places
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.outcomes import MirrorState
from mirror.ports import Presence
from mirror.seeding import Seeder
from mirror.truth import SqlPresence, Truth
from mirror.values import Limits
from mirror.watch import SECONDS, Watch


@dataclass(frozen=True, slots=True)
class MirrorKit:
    """The mirror with its fallback, and the way in for beats."""

    presence: Presence
    bulkhead: Bulkhead
    beats: Beats
    mirror: Mirror
    seeder: Seeder
    drift: DriftBook
    watch: Watch

    def state(self) -> MirrorState:
        """Return whether the mirror answers, as of the last look (each second)."""
        return self.watch.state

    async def trouble(self) -> str | None:
        """Return in words why Postgres answers instead; None while this is a mirror."""
        now = self.state()
        return None if now.state == "ok" else f"{now.state}: {now.reason}"


async def open_mirror(
    valkey_url: str | None, db: Database, runner: Runner, clock: Clock, limits: Limits
) -> MirrorKit:
    """Open the mirror; returns at once though Valkey is away. Without a URL, Postgres answers."""
    link = Link(valkey_url, clock=clock)
    mirror = Mirror(link, clock=clock, limits=limits)
    seeder = Seeder(mirror=mirror, link=link, truth=Truth(db), clock=clock)
    bulkhead = Bulkhead(clock=clock, at_once=places(db.max_size))
    presence = WithFallback(
        first=mirror, then=SqlPresence(db, fresh_ms=limits.fresh_ms), bulkhead=bulkhead
    )
    drift = DriftBook(db)
    heal = drift.noting(seeder.heal)
    beats = Beats(mirror=mirror, db=db, heal=heal, runner=runner, clock=clock)

    watch = Watch(mirror=mirror, clock=clock)
    await watch.look()
    if valkey_url is not None:
        runner.every("mirror_watching", SECONDS, watch.look)
    runner.on_stop(link.close)
    return MirrorKit(
        presence=presence,
        bulkhead=bulkhead,
        beats=beats,
        mirror=mirror,
        seeder=seeder,
        drift=drift,
        watch=watch,
    )
