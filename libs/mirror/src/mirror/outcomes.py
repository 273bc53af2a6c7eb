"""What came of it: of facts that were written, of a reseed, of a look at the mirror."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

Cause = Literal["missed", "wrong", "kept_answer"]
"""A change never came; a fact was another under the same version; the answer kept from right facts
was not what follows from them."""

FactName = Literal["online", "active", "load", "available"]
State = Literal["ok", "away", "deaf", "seeding"]
ReasonCode = Literal[
    "away",
    "unset",
    "replica",
    "no_writes",
    "unseeded",
    "unreadable",
    "other_layout",
    "other_process",
    "older_history",
    "part_lost",
    "wrong_type",
    "future_beats",
    "was_deaf",
    "was_away",
    "deaf",
]
"""Why there is no mirror, for those who have words of their own; `away`: whatever else failed."""
AWAY: Final[frozenset[ReasonCode]] = frozenset({"away", "unset", "replica", "no_writes"})
"""What a seeding cannot mend: Valkey has to come back, or to take writes."""


@dataclass(frozen=True, slots=True)
class Mended:
    """One thing that the mirror held otherwise than Postgres; `held` None: it held nothing.

    Values are "True" and "False", a load is "2/3" (slots held of how many).
    """

    mitra_id: UUID
    fact: FactName
    cause: Cause
    held: str | None
    true: str | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch of facts did: each was refused as older, newer, the same, or a healed drift.

    `mended` names what the mirror held otherwise. When a change is told for the first time that is
    the change itself; from a reconcile, a reseed or a heal of someone astray it is drift.
    """

    refused: int = 0
    newer: int = 0
    same: int = 0
    healed: int = 0
    mended: tuple[Mended, ...] = ()

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(
            refused=self.refused + other.refused,
            newer=self.newer + other.newer,
            same=self.same + other.same,
            healed=self.healed + other.healed,
            mended=self.mended + other.mended,
        )


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a reseed did: mitras read, what it changed, strangers removed, seconds it took."""

    mitras: int
    applied: Applied
    strangers: tuple[UUID, ...]
    seconds: float

    @property
    def ghosts(self) -> int:
        """Return how many mitras it held whom Postgres does not know."""
        return len(self.strangers)

    @property
    def healed(self) -> int:
        """Return how many facts were wrong in the mirror."""
        return self.applied.newer + self.applied.healed + self.ghosts


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One step of the rolling reconcile; `barred`: online although deactivated."""

    mitras: int
    applied: Applied
    barred: Sequence[UUID]
    turned: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """One fact in which the mirror and Postgres differ."""

    mitra_id: UUID
    fact: Literal["online", "active", "load", "available", "stranger"]
    mirror: str | None
    postgres: str | None


@dataclass(frozen=True, slots=True)
class MirrorState:
    """Whether the mirror answers, and since when.

    away: Valkey cannot be asked. deaf: no beat reaches it. seeding: what is there is not a mirror
    (yet). In all three Postgres answers.
    """

    state: State
    reason: str | None
    since: datetime
    advice: str | None = None
    """What operators should change in Valkey, though the answers are right all the same."""
    code: ReasonCode | None = None
    """The reason's; None while there is none."""
