"""Small stand-ins for what the sweeps talk to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from mirror import BeatCursor, BeatPage, MirrorUnavailable
from sweeper.domain import Brake, Due, Lease, Picture, Shard, Stale, Swept, Turn
from sweeper.errors import OwnerUnavailable


def turn(sweep: str = "sweep", *, shard: int = 0, fence: int = 1, slot: int = 1) -> Turn:
    """Make a turn."""
    return Turn(lease=Lease(shard=Shard(sweep, shard), fence=fence), slot=slot)


def mine() -> bool:
    """Say that the lease is still ours."""
    return True


def lost() -> bool:
    """Say that the lease is gone."""
    return False


class NoMeter:
    """Counts nothing."""

    def swept(self, sweep: str, swept: Swept, *, seconds: float) -> None:
        """Count nothing."""

    def failed(self, sweep: str) -> None:
        """Count nothing."""

    def held(self, leases: int) -> None:
        """Count nothing."""

    def braked(self, sweep: str, *, on: bool) -> None:
        """Count nothing."""

    def gone(self, sweep: str) -> None:
        """Count nothing."""


class NoRuns:
    """Keeps nothing."""

    async def record(self, turn: Turn, swept: Swept, *, holder: str, took_ms: int) -> None:
        """Keep nothing."""


@dataclass
class FakePresence:
    """Shows a picture, or none."""

    shown: Picture | None

    async def picture(self) -> Picture:
        """Return the picture of the test."""
        if self.shown is None:
            raise MirrorUnavailable("it was never seeded")
        return self.shown


@dataclass
class FakeBrakes:
    """Keeps a brake in memory."""

    kept: Brake | None = None

    async def find(self, sweep: str) -> Brake | None:
        """Return the brake."""
        return self.kept

    async def put(self, sweep: str, picture: Picture) -> None:
        """Raise the brake; one that an operator confirmed stays as it is."""
        if self.kept is None or not self.kept.confirmed:
            ids = frozenset(one.mitra_id for one in picture.stale)
            self.kept = Brake(mitra_ids=ids, confirmed=False)

    def confirm(self) -> None:
        """Say as an operator that they are gone."""
        assert self.kept is not None
        self.kept = Brake(mitra_ids=self.kept.mitra_ids, confirmed=True)

    async def release(self, sweep: str) -> None:
        """Forget the brake."""
        self.kept = None


@dataclass
class FakeOwners:
    """Takes commands; silent owners do not answer."""

    silent: bool = False
    offline: list[UUID] = field(default_factory=list)
    settled: list[list[UUID]] = field(default_factory=list)
    fences: list[int] = field(default_factory=list)

    async def mark_offline(self, stale: Sequence[Stale], *, fence: int) -> int:
        """Note whom to take offline."""
        if self.silent:
            raise OwnerUnavailable("bus unavailable")
        self.offline += [one.mitra_id for one in stale]
        self.fences.append(fence)
        return len(stale)

    async def settle(self, owner: str, due: Sequence[Due], *, fence: int) -> int:
        """Note what to settle."""
        if self.silent:
            raise OwnerUnavailable("bus unavailable")
        self.settled.append([one.id for one in due])
        self.fences.append(fence)
        return len(due)


@dataclass
class FakeTruth:
    """Lists what is due, and keeps beats."""

    rows: Sequence[Due] = ()
    ages: list[tuple[UUID, float]] = field(default_factory=list)

    async def due(self, owner: str, *, limit: int) -> Sequence[Due]:
        """Return what is due."""
        return self.rows[:limit]

    async def record_beats(self, ages: Sequence[tuple[UUID, float]]) -> int:
        """Keep beats."""
        self.ages += ages
        return len(ages)


@dataclass
class FakeHeartbeats:
    """Beats in the order of time; tells where each question began."""

    now_ms: int
    kept: list[tuple[UUID, int]]
    asked: list[BeatCursor] = field(default_factory=list)

    async def beats(self, after: BeatCursor, limit: int) -> BeatPage:
        """Return the next page."""
        self.asked.append(after)
        kept = sorted(self.kept, key=lambda one: one[1])
        later = [one for one in kept if one[1] >= after.at_ms][after.skip :][:limit]
        at_ms = later[-1][1] if later else after.at_ms
        seen = sum(one[1] == at_ms for one in later)
        skip = seen + (after.skip if at_ms == after.at_ms else 0)
        return BeatPage(self.now_ms, later, BeatCursor(at_ms, skip), is_last=len(later) < limit)
