"""The beacon: every replica can answer for it, one of them tells it when it changes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, ValidationError

from availability.domain import BEACON_MAX_AGE, Beacon, dark, light, worth_telling
from availability.events import BeaconTold
from availability.handlers.histograms import Histograms, Taken
from availability.ports import Leases
from common.clock import Clock
from common.db import Unavailable
from common.log import get_logger
from mirror import Counts, Histogram, Mirror, MirrorUnavailable, Presence
from mirror.plan import ServiceHours

_log = get_logger("beacon")

SUBJECT: Final = "rt.availability.beacon"
_LEASE_SECONDS: Final = 3.0
_RENEW_EVERY: Final = 0.9
_LOOK_EVERY: Final = 0.2
_KEEP_EVERY: Final = 0.9
_KEEP: Final = timedelta(milliseconds=250)


class Snapshot(BeaconTold):
    """What the cluster shares beside the beacon: online mitras by the slots they hold."""

    loads: Mapping[int, int] | None = None
    loads_as_of: AwareDatetime | None = None
    loads_source: Literal["mirror", "postgres"] = "mirror"

    def taken(self) -> Taken | None:
        """Return the loads as they were counted; None when they could not be."""
        if self.loads is None or self.loads_as_of is None:
            return None
        return Taken(Histogram(self.loads, self.loads_source), self.loads_as_of)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The counts, the beacon they give while the service is open, and when they were read.

    The moment is one of the monotonic clock: a wall clock that is set back makes nothing younger.
    """

    counts: Counts
    lit: Beacon
    read_at: float


class Beacons:
    """What customers see, at most ten seconds old wherever they ask."""

    def __init__(self, *, presence: Presence, hours: ServiceHours, clock: Clock) -> None:
        self._presence = presence
        self._hours = hours
        self._clock = clock
        self._last: Numbers | None = None
        self._changed = False
        self._failed: Unavailable | None = None
        self._asking = asyncio.Lock()

    async def beacon(self, *, max_age: timedelta = _KEEP) -> Beacon:
        """Return the beacon; a closed service needs no counts, so both stores may be away."""
        if closed := self.closed():
            return closed
        numbers = await self.now(max_age=max_age)
        # The time to close may have come while we asked.
        return self.closed() or numbers.lit

    def closed(self) -> Beacon | None:
        """Return the beacon of a service that is closed at this moment; None while it is open."""
        service = self._hours.now()
        if service.is_open:
            return None
        return dark(why=service.why, opens_at=service.opens_at, now=self._clock.now())

    async def now(self, *, max_age: timedelta = _KEEP) -> Numbers:
        """Return the numbers: fresh, or at most 10 s old while neither store answers."""
        # Whoever waited here finds the answer of the one before, and does not ask again; also when
        # it was none: a crowd whose every member waits for a timeout of her own has no end.
        failed = self._failed
        async with self._asking:
            if self._last is not None and not self._changed and self._age(self._last) < max_age:
                return self._last
            if self._failed is failed:
                try:
                    return await self._count()
                except Unavailable as error:
                    self._failed = error
            if self._last is not None and self._age(self._last) < BEACON_MAX_AGE:
                return self._last
            raise Unavailable(str(self._failed))

    def drop(self) -> None:
        """Something changed here: the next one who asks gets a new answer."""
        self._changed = True

    async def _count(self) -> Numbers:
        self._changed = False
        counts = await self._presence.counts()
        self._last = Numbers(counts, self._light(counts), self._clock.monotonic())
        return self._last

    def _light(self, counts: Counts) -> Beacon:
        return light(
            reachable=counts.reachable,
            available=counts.available,
            now=self._clock.now(),
        )

    def _age(self, numbers: Numbers) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - numbers.read_at)


class Lighthouse:
    """Tells the beacon to all replicas, if this one holds the lease."""

    def __init__(
        self,
        *,
        beacons: Beacons,
        histograms: Histograms,
        mirror: Mirror,
        leases: Leases,
        tell: Callable[[str, bytes], None],
        clock: Clock,
        holder: UUID,
    ) -> None:
        self._clock = clock
        self._beacons = beacons
        self._histograms = histograms
        self._mirror = mirror
        self._leases = leases
        self._tell = tell
        self._holder = holder
        self._leads = False
        self._leads_until = 0.0
        self._looked_at = 0.0
        self._kept_at = 0.0
        self._told: Beacon | None = None
        # Long ago: what another replica told, by its own clock, delays no news of ours.
        self._told_at = float("-inf")

    async def step(self) -> bool:
        """Compute, tell if it is worth it, and keep what was told; return whether it told."""
        await self._rest()
        led, self._leads = self._leads, await self._hold()
        if not self._leads:
            return False
        if not led:
            # Someone else told last: what that was decides whether there is news.
            self._told, self._told_at = _beacon_of(await self.snapshot()), float("-inf")
        beacon = await self._beacons.beacon(max_age=timedelta(0))
        now = self._clock.monotonic()
        news = worth_telling(beacon, self._told, told_ago=now - self._told_at)
        if news:
            self._told, self._told_at = beacon, now
            self._tell(SUBJECT, _told_of(beacon).model_dump_json().encode())
        if news or now - self._kept_at >= _KEEP_EVERY:
            self._kept_at = now
            # What was told may still be so: then it is true as of now.
            told = beacon if beacon.says_as(self._told) else self._told or beacon
            await self._keep(told)
        return news

    async def snapshot(self) -> Snapshot | None:
        """Return what was kept last by whoever leads; None when that is over 10 s ago."""
        try:
            kept = await self._mirror.snapshot()
            return None if kept is None else Snapshot.model_validate_json(kept)
        except (MirrorUnavailable, ValidationError):
            return None

    async def _rest(self) -> None:
        """Look at most five times a second, however fast sessions come and go."""
        early = self._looked_at + _LOOK_EVERY - self._clock.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        self._looked_at = self._clock.monotonic()

    async def _hold(self) -> bool:
        now = self._clock.monotonic()
        if self._leads and now < self._leads_until:
            return True
        try:
            held = await self._leases.hold("beacon", holder=self._holder, seconds=_LEASE_SECONDS)
        except Unavailable:
            # Two who tell the same do no harm; nobody telling would.
            return self._leads
        self._leads_until = now + _RENEW_EVERY
        return held

    async def _keep(self, told: Beacon) -> None:
        # Nothing can be kept while Valkey is away, and then loads would be counted for nobody.
        taken = await self._histograms.latest() if self._mirror.is_there else None
        snapshot = _snapshot_of(told, taken)
        try:
            await self._mirror.tell_snapshot(snapshot.model_dump_json().encode())
        except MirrorUnavailable:
            _log.debug("snapshot_not_kept")


def _told_of(beacon: Beacon) -> BeaconTold:
    return BeaconTold(
        state=beacon.state,
        count=beacon.count,
        as_of=beacon.as_of,
        why=beacon.why,
        opens_at=beacon.opens_at,
    )


def _snapshot_of(told: Beacon, taken: Taken | None) -> Snapshot:
    snapshot = Snapshot(**dict(_told_of(told)))
    if taken is None:
        return snapshot
    loads = {
        "loads": taken.histogram.loads,
        "loads_as_of": taken.as_of,
        "loads_source": taken.histogram.source,
    }
    return snapshot.model_copy(update=loads)


def _beacon_of(snapshot: Snapshot | None) -> Beacon | None:
    if snapshot is None:
        return None
    return Beacon(snapshot.state, snapshot.count, snapshot.as_of, snapshot.why, snapshot.opens_at)
