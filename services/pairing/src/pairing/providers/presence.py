"""Who can take work, as the mirror says, or Postgres in its place."""

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from common.clock import Clock
from common.db import Unavailable
from mirror import BeatOutcome, MirrorKit, MirrorUnavailable
from pairing import errors
from pairing.domain import Beacon
from pairing.inbound import BeaconHeard


def read_beacon(body: bytes) -> Beacon | None:
    """Read the beacon as availability tells it; None when it is not one."""
    try:
        told = BeaconHeard.model_validate_json(body)
    except ValidationError:
        return None
    return Beacon(told.state, told.count, told.as_of, told.why, told.opens_at)


class MirrorPresence:
    """Presence and beats through the mirror's own library, which falls back by itself."""

    def __init__(self, kit: MirrorKit, *, clock: Clock) -> None:
        self._kit = kit
        self._clock = clock

    async def find_available(self, *, limit: int, exclude: Collection[UUID]) -> list[UUID]:
        """Return up to `limit` available mitras, spread at random."""
        try:
            return await self._kit.presence.find_available(limit, exclude)
        except (Unavailable, MirrorUnavailable) as error:
            raise errors.PresenceUnavailable from error

    async def beacon(self, *, max_age_seconds: float) -> Beacon:
        """Return the beacon of an open service, as last told, else as the counts have it now."""
        try:
            snapshot = await self._kit.mirror.snapshot(max_age_seconds=max_age_seconds)
        except MirrorUnavailable:
            snapshot = None
        told = None if snapshot is None else read_beacon(snapshot)
        # What was told of a closed service says nothing of who is there when it opens.
        if told is not None and told.state != "disabled":
            return told
        try:
            counts = await self._kit.presence.counts()
        except (Unavailable, MirrorUnavailable) as error:
            raise errors.PresenceUnavailable from error
        return _beacon(counts.reachable, counts.available, self._clock.now())

    async def beat(self, mitra_id: UUID) -> bool:
        """Record a heartbeat received now; say whether the mitra counts as online."""
        try:
            outcome = await self._kit.beats.beat(mitra_id)
        except (Unavailable, MirrorUnavailable) as error:
            raise errors.PresenceUnavailable from error
        return outcome is BeatOutcome.RECORDED

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Record a heartbeat and tell, when it is written, whether she counts as online."""
        self._kit.beats.beat_soon(mitra_id, tell)


def _beacon(reachable: int, available: int, now: datetime) -> Beacon:
    if available > 0:
        return Beacon("available", available, now)
    return Beacon("all_busy" if reachable > 0 else "none_online", 0, now)
