"""The plain values that cross the border of the mirror: questions, answers, facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, Self
from uuid import UUID

Source = Literal["mirror", "postgres"]

INTAKE_GAP_SECONDS = 10.0
"""A silence of everybody that is longer than this (and than a heartbeat) is an intake gap."""


class BeatSettings(Protocol):
    """The part of a service's settings that the mirror needs, in seconds."""

    @property
    def heartbeat_seconds(self) -> float:
        """How often a mitra beats."""

    @property
    def fresh_limit_seconds(self) -> float:
        """How old a beat may be for an offer."""

    @property
    def auto_offline_seconds(self) -> float:
        """How old a beat may be before she is taken offline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often a mitra beats and how old a beat may be, in seconds."""

    heartbeat_seconds: float = 20.0
    fresh_seconds: float = 45.0
    auto_offline_seconds: float = 75.0

    @classmethod
    def of(cls, settings: BeatSettings) -> Self:
        """Return the limits that a service was given."""
        return cls(
            heartbeat_seconds=settings.heartbeat_seconds,
            fresh_seconds=settings.fresh_limit_seconds,
            auto_offline_seconds=settings.auto_offline_seconds,
        )

    @property
    def fresh_ms(self) -> int:
        """Return the fresh limit in milliseconds."""
        return int(self.fresh_seconds * 1000)

    @property
    def auto_offline_ms(self) -> int:
        """Return the age of a beat at which auto-offline may act, in milliseconds."""
        return int(self.auto_offline_seconds * 1000)

    @property
    def gap_ms(self) -> int:
        """Return the silence of everybody that counts as an intake gap, in milliseconds.

        One lone mitra is silent for a whole heartbeat between two beats; that is no gap. It must be
        known for one well before the first of them has been silent for too long.
        """
        wanted = max(INTAKE_GAP_SECONDS, self.heartbeat_seconds + 5.0)
        longest = max(self.auto_offline_seconds / 2, 1.5 * self.heartbeat_seconds)
        return int(min(wanted, longest) * 1000)

    @property
    def deaf_ms(self) -> int:
        """Return the silence of everybody after which the mirror is believed no more, in ms.

        Whoever beat just before it may still be fresh at its end.
        """
        return min(self.gap_ms, int((self.fresh_seconds - self.heartbeat_seconds) * 1000))

    @property
    def next_beat_ms(self) -> int:
        """Return within what time whoever is there beats again, with some delay, in ms."""
        return int((self.heartbeat_seconds + 5.0) * 1000)

    @property
    def grace_ms(self) -> int:
        """Return how long nobody is auto-offlined after a reseed or a gap, in milliseconds."""
        return int((self.fresh_seconds + self.heartbeat_seconds) * 1000)


@dataclass(frozen=True, slots=True)
class Reachability:
    """Whether a mitra is reachable (online, fresh, active) and available (and has a free slot)."""

    reachable: bool
    available: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many mitras are online, reachable and available, and who said so."""

    online: int
    reachable: int
    available: int
    source: Source

    @property
    def busy(self) -> int:
        """Return how many are reachable but have no free slot."""
        return max(0, self.reachable - self.available)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many of those online hold 0, 1, 2 … slots, and who said so."""

    loads: Mapping[int, int]
    source: Source


class BeatOutcome(StrEnum):
    """What became of a beat."""

    RECORDED = "recorded"
    OFFLINE = "offline"
    DEACTIVATED = "deactivated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A version within one history of Postgres; a higher epoch always wins."""

    pg_epoch: int
    version: int

    def __str__(self) -> str:
        return f"{self.pg_epoch}.{self.version}"


@dataclass(frozen=True, slots=True)
class OnlineFact:
    """A mitra's own wish, with the age of her last beat (None: never beat)."""

    mitra_id: UUID
    stamp: Stamp
    is_online: bool
    beat_age_ms: int | None


@dataclass(frozen=True, slots=True)
class ActiveFact:
    """Whether an operator lets this mitra work."""

    mitra_id: UUID
    stamp: Stamp
    is_active: bool


@dataclass(frozen=True, slots=True)
class LoadFact:
    """How many slots of how many a mitra's sessions hold."""

    mitra_id: UUID
    stamp: Stamp
    load: int
    capacity: int


Fact = OnlineFact | ActiveFact | LoadFact


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """All facts of one mitra as Postgres has them (`availability.mirror_rows_v1`)."""

    online: OnlineFact
    active: ActiveFact
    load: LoadFact

    @property
    def mitra_id(self) -> UUID:
        """Return whose row this is."""
        return self.online.mitra_id

    @property
    def is_available(self) -> bool:
        """Return whether she belongs to the kept answer (the age of her beat aside)."""
        free = self.load.load < self.load.capacity
        return self.online.is_online and self.active.is_active and free

    @property
    def is_barred(self) -> bool:
        """Return whether she is still online although an operator switched her off."""
        return self.online.is_online and not self.active.is_active

    def facts(self) -> tuple[Fact, Fact, Fact]:
        """Return the three facts, to be applied together."""
        return (self.online, self.active, self.load)


@dataclass(frozen=True, slots=True)
class Seed:
    """The sentinel: which seeding, of which Postgres history, into which server process.

    On Valkey's clock: `since_ms`, since when this has been a mirror without a break, and
    `seeded_ms`, when it was seeded last.
    """

    schema: int
    pg_epoch: int
    seeding_id: str
    run_id: str
    since_ms: int
    seeded_ms: int


@dataclass(frozen=True, slots=True)
class MitraStatus:
    """What the mirror (or Postgres) says of one mitra; a beat counts while she may beat."""

    mitra_id: UUID
    is_online: bool
    is_active: bool
    beat_age_ms: int | None
    load: int
    capacity: int
    source: Source


@dataclass(frozen=True, slots=True)
class StaleMitra:
    """A candidate of auto-offline: what was seen, to be checked again just before acting."""

    mitra_id: UUID
    status_version: int
    seen_at_ms: int


@dataclass(frozen=True, slots=True)
class StalePage:
    """The mitras whose last beat is too old, and whether it is safe to believe it.

    Times are milliseconds on Valkey's clock. While `now_ms < grace_until_ms` (a reseed or a
    silence of everybody was recent) nobody may be taken offline on the word of the mirror, but for
    those who were last heard before `gone_before_ms`: graces have followed each other since then.
    """

    now_ms: int
    grace_until_ms: int
    gone_before_ms: int
    online: int
    fresh: int
    mitras: Sequence[StaleMitra] = field(default_factory=tuple)

    @property
    def in_grace(self) -> bool:
        """Return whether the mirror is too young, or was deaf too recently, to be believed."""
        return self.now_ms < self.grace_until_ms

    @property
    def gone(self) -> Sequence[StaleMitra]:
        """Return those of these mitras who may be taken offline now."""
        if not self.in_grace:
            return self.mitras
        return [one for one in self.mitras if one.seen_at_ms < self.gone_before_ms]


@dataclass(frozen=True, slots=True)
class BeatCursor:
    """Where a walk over the beats goes on: a time on Valkey's clock and the rows to skip there."""

    at_ms: int = 0
    skip: int = 0


@dataclass(frozen=True, slots=True)
class BeatPage:
    """Beats in the order of time, as (mitra, ms on Valkey's clock), and where the next page starts.

    Write them down by their age, `now_ms - at_ms` (`mirror.record_beats`): the clock of Postgres
    need not agree with Valkey's.
    """

    now_ms: int
    beats: Sequence[tuple[UUID, int]]
    next: BeatCursor
    is_last: bool

    def ages(self) -> list[tuple[UUID, int]]:
        """Return the beats as (mitra, age in ms)."""
        return [(mitra_id, max(0, self.now_ms - at_ms)) for mitra_id, at_ms in self.beats]
