"""The sweeps themselves: each one bounded pass that may run again at any time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from common.clock import Clock
from mirror import BeatCursor, BeatPage, MirrorUnavailable
from sweeper.domain import AUTO_OFFLINE, Due, Stale, Swept, Turn, belongs, chunks, judge
from sweeper.errors import LeaseLost, OwnerUnavailable
from sweeper.ports import Brakes, Heartbeats, Meter, Mirror, Owners, Presence, Pruning, Truth

log = structlog.get_logger(__name__)

# Commands of one pass on their way at once: the owner's replicas share them.
IN_FLIGHT = 4
# How long after it was received a beat may still reach the mirror: a flush begins that far back.
LATE_MS = 1000

StillMine = Callable[[], bool]


class Sweep(Protocol):
    """One pass for one claimed slot."""

    async def __call__(self, turn: Turn, still_mine: StillMine, /) -> Swept:
        """Do the pass; stops between bites once the lease is gone."""
        ...


class AutoOffline:
    """Takes mitras offline whose beats ceased, and rather nobody when the picture is doubtful."""

    def __init__(
        self, *, presence: Presence, owners: Owners, brakes: Brakes, meter: Meter, batch: int
    ) -> None:
        self._presence = presence
        self._owners = owners
        self._brakes = brakes
        self._meter = meter
        self._batch = batch

    async def __call__(self, turn: Turn, still_mine: StillMine, /) -> Swept:
        """One pass over the stale range of the mirror."""
        brake = await self._brakes.find(AUTO_OFFLINE)
        try:
            picture = await self._presence.picture()
        except MirrorUnavailable as unseen:
            self._meter.braked(AUTO_OFFLINE, on=brake is not None)
            return Swept.nothing(unseen.reason)
        verdict = judge(picture, brake)
        self._meter.braked(AUTO_OFFLINE, on=verdict.raise_brake)
        if verdict.raise_brake:
            await self._brakes.put(AUTO_OFFLINE, picture)
            log.error(
                "auto_offline_braked",
                stale=len(picture.stale),
                online=picture.online,
                fresh=picture.fresh,
                reason=verdict.skipped,
            )
            return Swept.nothing(verdict.skipped or "brake")
        swept = await self._mark(turn, verdict.go, still_mine)
        if brake is not None and swept.skipped is None:
            await self._brakes.release(AUTO_OFFLINE)
        return swept

    async def _mark(self, turn: Turn, stale: tuple[Stale, ...], still_mine: StillMine) -> Swept:
        count = 0
        for bite in chunks(stale, self._batch):
            if not still_mine():
                raise LeaseLost(turn.shard.sweep)
            try:
                count += await self._owners.mark_offline(bite, fence=turn.lease.fence)
            except OwnerUnavailable as silent:
                return Swept(count=count, skipped=str(silent))
        return Swept(count=count)


class HeartbeatFlush:
    """Writes changed heartbeats down, so that the truth's answer is fresh too."""

    def __init__(
        self, *, heartbeats: Heartbeats, truth: Truth, clock: Clock, shards: int, batch: int
    ) -> None:
        self._heartbeats = heartbeats
        self._truth = truth
        self._clock = clock
        self._shards = shards
        self._batch = batch
        self._cursors: dict[int, tuple[int, BeatCursor]] = {}  # shard -> fence, where we are

    async def __call__(self, turn: Turn, still_mine: StillMine, /) -> Swept:
        """One pass over beats that came since the last one under this lease."""
        cursor = begin = self._cursor(turn)
        count, is_last = 0, False
        while not is_last:
            if not still_mine():
                raise LeaseLost(turn.shard.sweep)
            read_at = self._clock.monotonic()
            try:
                page = await self._heartbeats.beats(cursor, limit=self._batch)
            except MirrorUnavailable as unseen:
                return Swept(count=count, skipped=unseen.reason)
            if cursor is begin and page.now_ms < begin.at_ms:
                # The clock of Valkey went back: what has come since is dated before our place.
                cursor = BeatCursor()
                continue
            count += await self._write(turn, page, read_at)
            cursor, is_last = page.next, page.is_last
            # Rows to skip are counted for the next page, not for the next pass: who stood there
            # has beaten again by then, and others would be skipped in their place.
            again = BeatCursor(max(0, min(cursor.at_ms, page.now_ms) - LATE_MS))
            self._cursors[turn.shard.number] = (turn.lease.fence, again)
        return Swept(count=count)

    async def _write(self, turn: Turn, page: BeatPage, read_at: float) -> int:
        # The answer took its time: what was an age at the question has grown since.
        late_ms = (self._clock.monotonic() - read_at) * 1000
        ages = [
            (mitra, page.now_ms - at_ms + late_ms)
            for mitra, at_ms in page.beats
            if belongs(mitra, shard=turn.shard.number, shards=self._shards)
        ]
        return await self._truth.record_beats(ages) if ages else 0

    def _cursor(self, turn: Turn) -> BeatCursor:
        # A new fence means that others may have driven the shard: begin again from everything.
        fence, cursor = self._cursors.get(turn.shard.number, (0, BeatCursor()))
        return cursor if fence == turn.lease.fence else BeatCursor()


class Reseed:
    """Rebuilds the mirror from the truth, healing and counting drift."""

    def __init__(self, *, mirror: Mirror) -> None:
        self._mirror = mirror

    async def __call__(self, _turn: Turn, _still_mine: StillMine, /) -> Swept:
        """One rebuild."""
        try:
            return Swept(count=await self._mirror.reseed())
        except MirrorUnavailable as unseen:
            return Swept.nothing(unseen.reason)


class DueDeadlines:
    """Drives one owner's passed deadlines; the owner decides each row again under its locks."""

    def __init__(
        self, *, owner: str, truth: Truth, owners: Owners, shards: int, limit: int, batch: int
    ) -> None:
        self._owner = owner
        self._truth = truth
        self._owners = owners
        self._shards = shards
        self._limit = limit
        self._batch = batch

    async def __call__(self, turn: Turn, still_mine: StillMine, /) -> Swept:
        """One pass over what is due now."""
        due = await self._truth.due(self._owner, limit=self._limit * self._shards)
        mine = [one for one in due if belongs(one.id, shard=turn.shard.number, shards=self._shards)]
        places = asyncio.Semaphore(IN_FLIGHT)

        async def settle(bite: Sequence[Due]) -> Swept:
            async with places:
                if not still_mine():
                    raise LeaseLost(turn.shard.sweep)
                try:
                    count = await self._owners.settle(self._owner, bite, fence=turn.lease.fence)
                except OwnerUnavailable as silent:
                    return Swept.nothing(str(silent))
                return Swept(count=count)

        done = await asyncio.gather(*(settle(bite) for bite in chunks(mine, self._batch)))
        return Swept(
            count=sum(one.count for one in done),
            skipped=next((one.skipped for one in done if one.skipped), None),
        )


class Retention:
    """Deletes our own old rows; other owners keep their own houses."""

    def __init__(self, *, pruning: Pruning) -> None:
        self._pruning = pruning

    async def __call__(self, _turn: Turn, _still_mine: StillMine, /) -> Swept:
        """One bounded pass."""
        return Swept(count=await self._pruning.prune())
