"""What a service gets: opened once, in its app.py."""

import contextlib
from dataclasses import dataclass

from common.clock import Clock
from common.db import Database
from common.runner import Runner
from mirror.beating import Beats
from mirror.errors import MirrorUnavailable
from mirror.fallback import Bulkhead, WithFallback
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.ports import Presence
from mirror.seeding import Seeder
from mirror.truth import SqlPresence, Truth
from mirror.values import Limits


@dataclass(frozen=True, slots=True)
class MirrorKit:
    """The mirror with its fallback, and the way in for beats."""

    presence: Presence
    beats: Beats
    mirror: Mirror
    seeder: Seeder


async def open_mirror(
    valkey_url: str | None, db: Database, runner: Runner, clock: Clock, limits: Limits
) -> MirrorKit:
    """Open the mirror; returns at once though Valkey is away. Without a URL, Postgres answers."""
    link = Link(valkey_url, clock=clock)
    mirror = Mirror(link, clock=clock, limits=limits)
    seeder = Seeder(mirror=mirror, link=link, truth=Truth(db), clock=clock)
    presence = WithFallback(
        first=mirror,
        then=SqlPresence(db, fresh_ms=limits.fresh_ms),
        bulkhead=Bulkhead(clock=clock),
    )
    beats = Beats(mirror=mirror, db=db, heal=seeder.heal, runner=runner, clock=clock)

    async def learn_clock() -> None:
        with contextlib.suppress(MirrorUnavailable):
            await link.learn_clock()

    if valkey_url is not None:
        await learn_clock()
        runner.every("mirror_clock", 1.0, learn_clock)
    runner.on_stop(link.close)
    return MirrorKit(presence=presence, beats=beats, mirror=mirror, seeder=seeder)
