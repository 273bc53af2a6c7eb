"""The mirror of who can take work: opened once by each service that asks or beats."""

from mirror.beating import Beats
from mirror.drift import DriftBook
from mirror.errors import MirrorUnavailable
from mirror.fallback import Bulkhead
from mirror.kit import MirrorKit, open_mirror
from mirror.mirror import Mirror
from mirror.outcomes import Applied, Drift, Mended, MirrorState, ReasonCode, Reconciled, Seeded
from mirror.ports import Presence
from mirror.seeding import Seeder
from mirror.truth import record_beats
from mirror.values import (
    BeatCursor,
    BeatOutcome,
    BeatPage,
    Counts,
    Histogram,
    Limits,
    LoadFact,
    MitraStatus,
    Reachability,
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
    "Bulkhead",
    "Counts",
    "Drift",
    "DriftBook",
    "Histogram",
    "Limits",
    "LoadFact",
    "Mended",
    "Mirror",
    "MirrorKit",
    "MirrorState",
    "MirrorUnavailable",
    "MitraStatus",
    "Presence",
    "Reachability",
    "ReasonCode",
    "Reconciled",
    "Seeded",
    "Seeder",
    "StaleMitra",
    "StalePage",
    "Stamp",
    "open_mirror",
    "record_beats",
]
