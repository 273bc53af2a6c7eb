"""Decisions of the sweeper: whose turn it is, and when a sweep must rather do nothing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Self, TypeVar
from uuid import UUID

AUTO_OFFLINE = "auto_offline"
HEARTBEAT_FLUSH = "heartbeat_flush"
RESEED = "reseed"
RETENTION = "retention"
OWNERS = ("auth", "availability", "pairing", "chat")

BRAKE_MINIMUM = 5
BRAKE_SHARE = 10  # percent of the online mitras
# How many cadences long a stopped pass or its confirmation counts: the next one may be late.
BRAKE_CADENCES = 2

T = TypeVar("T")


def due_sweep(owner: str) -> str:
    """Name the sweep that drives an owner's deadlines."""
    return f"due_{owner}"


@dataclass(frozen=True, order=True)
class Shard:
    """One part of one sweep: what a lease is about."""

    sweep: str
    number: int


@dataclass(frozen=True)
class Lease:
    """The right to drive a shard until another replica takes it with a higher fence."""

    shard: Shard
    fence: int


@dataclass(frozen=True)
class Turn:
    """One slot of a shard, claimed under a lease."""

    lease: Lease
    slot: int

    @property
    def shard(self) -> Shard:
        """The shard this turn is for."""
        return self.lease.shard


@dataclass(frozen=True)
class Asked:
    """The answer to asking for a slot: the turn if it is ours to drive, and when to ask again."""

    lease: Lease
    turn: Turn | None
    next_in: float


@dataclass(frozen=True)
class Swept:
    """What a pass did: a count, or the reason why it did nothing."""

    count: int = 0
    skipped: str | None = None

    @classmethod
    def nothing(cls, reason: str) -> Self:
        """Return a pass that rather did nothing."""
        return cls(count=0, skipped=reason)


def fair_share(shards: int, replicas: int) -> int:
    """How many leases one replica should hold at most."""
    return ceil(shards / max(replicas, 1))


def surplus(held: Collection[Shard], *, share: int, busy: Collection[Shard]) -> tuple[Shard, ...]:
    """Leases to give back so that others get their share; never one that is being driven."""
    spare = sorted(set(held) - set(busy))
    return tuple(spare[: max(len(held) - share, 0)])


def belongs(id_: UUID, *, shard: int, shards: int) -> bool:
    """Whether an id falls to this shard."""
    return id_.int % shards == shard


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """Cut the items into bites of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


# --- auto-offline -------------------------------------------------------------------------


@dataclass(frozen=True)
class Stale:
    """An online mitra whose last beat is older than the auto-offline limit."""

    mitra_id: UUID
    status_version: int
    seen_at_ms: int


@dataclass(frozen=True)
class Picture:
    """What the mirror shows at one instant; `candidates` may exceed the stale ones listed."""

    stale: tuple[Stale, ...]
    candidates: int
    online: int
    fresh: int


@dataclass(frozen=True)
class Brake:
    """A pass that was stopped: whom it would have hit, and whether an operator confirmed it."""

    mitra_ids: frozenset[UUID]
    confirmed: bool


@dataclass(frozen=True)
class Verdict:
    """What a pass may do about the stale ones."""

    go: tuple[Stale, ...] = ()
    raise_brake: bool = False
    skipped: str | None = None


def too_many(candidates: int, *, online: int) -> bool:
    """Whether a pass would take too large a part of the online mitras away at once."""
    return candidates >= BRAKE_MINIMUM and candidates * 100 > online * BRAKE_SHARE


def is_deaf(picture: Picture) -> bool:
    """Whether several might beat and nobody at all is heard; the deactivated (0) may not."""
    barred = sum(1 for one in picture.stale if one.seen_at_ms == 0)
    return len(picture.stale) > barred and picture.fresh == 0 and picture.online - barred > 1


def judge(picture: Picture, brake: Brake | None) -> Verdict:
    """Decide an auto-offline pass: go, stop, or confirm what the pass before stopped.

    Only mitras that were already named by the stopped pass are confirmed. Without fresh beats
    from at least half of the online mitras the fault is more likely ours, and only an operator
    may confirm; where nobody at all is heard, however few there are.
    """
    if not is_deaf(picture) and not too_many(picture.candidates, online=picture.online):
        return Verdict(go=picture.stale)
    if brake is None:
        return Verdict(raise_brake=True, skipped="brake")
    if not brake.confirmed and picture.fresh * 2 < picture.online:
        return Verdict(raise_brake=True, skipped="brake_unconfirmed")
    named = tuple(one for one in picture.stale if one.mitra_id in brake.mitra_ids)
    return Verdict(go=named)


# --- reporting ----------------------------------------------------------------------------


@dataclass
class Ledger:
    """What one shard did since it was last reported, so that busy sweeps stay readable."""

    count: int = 0
    skipped: str | None = None
    reported_at: float | None = None

    def note(self, swept: Swept, *, now: float, every: float) -> Swept | None:
        """Add a pass; returns what is worth telling now, if anything.

        A change of the skip reason is told at once; counts at most every `every` seconds.
        """
        changed = swept.skipped != self.skipped
        self.skipped = swept.skipped
        self.count += swept.count
        waited = self.reported_at is None or now - self.reported_at >= every
        if not changed and not (self.count and waited):
            return None
        told = Swept(count=self.count, skipped=self.skipped)
        self.count, self.reported_at = 0, now
        return told


@dataclass(frozen=True)
class Due:
    """A row whose deadline has passed, named by its owner."""

    kind: str
    id: UUID
    due_at: datetime


@dataclass(frozen=True)
class Plan:
    """Every shard there is, with the seconds between its slots."""

    cadences: Mapping[str, float]
    shards: Mapping[str, int] = field(default_factory=dict)

    def all(self) -> tuple[Shard, ...]:
        """All shards of all sweeps."""
        return tuple(
            Shard(sweep, number)
            for sweep in self.cadences
            for number in range(self.shards.get(sweep, 1))
        )
