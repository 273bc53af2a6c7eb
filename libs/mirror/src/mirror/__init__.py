"""The mirror of who can take work: opened once by each service that asks or beats."""

from mirror.beating import Beats
from mirror.errors import MirrorUnavailable
from mirror.kit import MirrorKit, open_mirror
from mirror.mirror import Mirror
from mirror.ports import Presence
from mirror.seeding import Seeder
from mirror.truth import record_beats
from mirror.values import (
    Applied,
    BeatCursor,
    BeatOutcome,
    BeatPage,
    Candidate,
    Counts,
    Drift,
    Limits,
    LoadFact,
    MitraStatus,
    Reachability,
    Reconciled,
    Seeded,
    StaleMitra,
    StalePage,
    Stamp,
)

__all__ = [
    "Applied",
    "BeatCursor",
    "BeatOutcome",
    "BeatPage",
    "Beats",
    "Candidate",
    "Counts",
    "Drift",
    "Limits",
    "LoadFact",
    "Mirror",
    "MirrorKit",
    "MirrorUnavailable",
    "MitraStatus",
    "Presence",
    "Reachability",
    "Reconciled",
    "Seeded",
    "Seeder",
    "StaleMitra",
    "StalePage",
    "Stamp",
    "open_mirror",
    "record_beats",
]
