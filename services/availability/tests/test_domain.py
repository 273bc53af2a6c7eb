"""The rules, without a server."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from availability.domain import (
    Beacon,
    BeaconState,
    Hindrance,
    Stale,
    Status,
    dark,
    is_reachable,
    light,
    still_stale,
    worth_telling,
)
from availability.settings import Settings
from common.ids import new_id

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FRESH = timedelta(seconds=45)
SOMEONE = UUID(int=1)


def status(
    *, online: bool = True, active: bool = True, age: float | None = 1, load: int = 0
) -> Status:
    """Make a status; nothing hinders her by default."""
    beat_age = None if age is None else timedelta(seconds=age)
    return Status(SOMEONE, online, active, beat_age, load, 3, "mirror")


@pytest.mark.req("AV-05")
@pytest.mark.parametrize(
    ("of", "expected", "reachable"),
    [
        (status(), [], True),
        (status(load=3), ["full"], True),
        (status(age=44.9), [], True),
        (status(age=45), ["stale"], False),
        (status(age=None), ["stale"], False),
        (status(active=False), ["deactivated"], False),
        (status(online=False, age=None), ["offline"], False),
        (status(online=False, active=False, load=4), ["offline", "deactivated", "full"], False),
    ],
)
def test_each_hindrance_is_named(of: Status, expected: list[Hindrance], reachable: bool) -> None:  # noqa: FBT001
    """Reachable: nothing but a full load hinders. Available: nothing does."""
    assert of.hindrances(FRESH) == expected
    assert is_reachable(expected) is reachable


@pytest.mark.req("AV-11")
@pytest.mark.parametrize(
    ("reachable", "available", "state", "count"),
    [(5, 2, "available", 2), (5, 0, "all_busy", 0), (0, 0, "none_online", 0)],
)
def test_the_beacon_of_an_open_service_has_three_states(
    reachable: int, available: int, state: BeaconState, count: int
) -> None:
    """Nobody reachable, nobody free, or so many."""
    beacon = light(reachable=reachable, available=available, now=NOW)
    assert beacon == Beacon(state, count, NOW)


@pytest.mark.req("AV-11", "AV-16")
def test_the_beacon_of_a_closed_service_says_why_and_when() -> None:
    """Disabled is the fourth state; nobody is counted."""
    opens_at = NOW + timedelta(hours=8)
    assert dark(why="hours", opens_at=opens_at, now=NOW) == Beacon(
        "disabled", 0, NOW, "hours", opens_at
    )


@pytest.mark.req("AV-11")
def test_a_state_is_told_at_once_a_count_not_too_often() -> None:
    """A new count waits two seconds after what was told last; no change is no news."""
    last = Beacon("available", 2, NOW)

    assert worth_telling(last, None, told_ago=0)
    assert worth_telling(Beacon("all_busy", 0, NOW), last, told_ago=1)
    assert not worth_telling(Beacon("available", 3, NOW), last, told_ago=1)
    assert worth_telling(Beacon("available", 3, NOW), last, told_ago=2)
    assert not worth_telling(Beacon("available", 2, NOW), last, told_ago=2)


@pytest.mark.req("SW-01")
def test_whoever_beat_since_is_not_stale() -> None:
    """Only who is still online in the mirror with the very beat that was seen goes on."""
    same, reread, younger, gone = (Stale(new_id(), 1, 5000) for _ in range(4))
    beats = {same.mitra_id: 5000, reread.mitra_id: 5009, younger.mitra_id: 25_000}

    assert still_stale([same, reread, younger, gone], beats) == [same, reread]


@pytest.mark.parametrize(
    "limits",
    [
        {"fresh_limit_seconds": 39.9},
        {"heartbeat_seconds": 30},
        {"auto_offline_seconds": 60},
        {"heartbeat_mirror_interval_seconds": 25},
    ],
)
def test_limits_must_fit_each_other(limits: dict[str, float]) -> None:
    """Settings under which Postgres would call living mitras stale do not start."""
    assert Settings(fresh_limit_seconds=45).heartbeat_seconds == 20
    with pytest.raises(ValidationError):
        Settings(**limits)  # type: ignore[arg-type]
