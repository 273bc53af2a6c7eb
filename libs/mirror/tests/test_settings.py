"""What every service with a mirror is told, and what it refuses."""

import pytest
from pydantic import ValidationError

from mirror import Limits
from mirror.settings import MirrorSettings

STALE = "FRESH_LIMIT_SECONDS must be at least HEARTBEAT_SECONDS"
GONE = "AUTO_OFFLINE_SECONDS must exceed FRESH_LIMIT_SECONDS"


@pytest.mark.req("AV-05", "SW-06")
@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"fresh_limit_seconds": 39.9}, STALE),
        ({"heartbeat_seconds": 60}, STALE),
        ({"heartbeat_mirror_interval_seconds": 25}, STALE),
        ({"auto_offline_seconds": 60}, GONE),
    ],
)
def test_limits_that_break_the_mirror_are_refused(limits: dict[str, float], rule: str) -> None:
    """The message names the settings and the rule."""
    with pytest.raises(ValidationError, match=rule):
        MirrorSettings(**limits)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"fresh_limit_seconds": 40, "auto_offline_seconds": 55.1},
        {
            "heartbeat_seconds": 600,
            "heartbeat_mirror_interval_seconds": 600,
            "fresh_limit_seconds": 1205,
            "auto_offline_seconds": 1806,
        },
    ],
)
def test_what_is_accepted_lets_a_mirror_hear(limits: dict[str, float]) -> None:
    """Under the widest of accepted limits a mirror is deaf only after a silence."""
    accepted = Limits.of(MirrorSettings(**limits))

    assert accepted.deaf_ms >= 5_000
    assert accepted.gap_ms < accepted.auto_offline_ms
