"""Who can take work: the rules, as plain values and functions of time."""

from availability.domain.beacon import (
    BEACON_MAX_AGE,
    TELL_COUNT_EVERY,
    Beacon,
    BeaconState,
    light,
    worth_telling,
)
from availability.domain.status import (
    SAME_BEAT_MS,
    Change,
    Hindrance,
    OfflineReason,
    RosterRow,
    Source,
    Stale,
    Status,
    is_reachable,
    still_stale,
)

__all__ = [
    "BEACON_MAX_AGE",
    "SAME_BEAT_MS",
    "TELL_COUNT_EVERY",
    "Beacon",
    "BeaconState",
    "Change",
    "Hindrance",
    "OfflineReason",
    "RosterRow",
    "Source",
    "Stale",
    "Status",
    "is_reachable",
    "light",
    "still_stale",
    "worth_telling",
]
