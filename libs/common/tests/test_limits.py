"""Rates: exact, fair between keys, bounded in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.limits import Gcra, Pace, Rate, RateLimits, address_key
from common.testing import FakeClock


def test_a_burst_passes_and_then_the_rate() -> None:
    """Ten at once, then one every 200 ms, and the wait that is told is enough."""
    clock = FakeClock()
    bucket = Gcra(Rate(per_second=5, burst=10), clock=clock)

    assert [bucket.ask("a") for _ in range(10)] == [0.0] * 10
    wait = bucket.ask("a")
    assert pytest.approx(0.2) == wait
    clock.advance(wait)
    assert bucket.ask("a") == 0.0
    assert bucket.ask("a") > 0


def test_keys_do_not_share() -> None:
    """One spent key leaves the others alone."""
    bucket = Gcra(Rate(per_second=1, burst=1), clock=FakeClock())
    bucket.ask("a")

    assert bucket.ask("a") > 0
    assert bucket.ask("b") == 0.0


@given(
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_schedule_beats_the_rate(rate: float, burst: int, gaps: list[float]) -> None:
    """Whatever the pauses, nobody gets more than burst + rate x time."""
    clock = FakeClock()
    bucket = Gcra(Rate(per_second=rate, burst=burst), clock=clock)
    passed, started = 0, clock.monotonic()
    for gap in gaps:
        clock.advance(gap)
        passed += bucket.ask("a") == 0

    assert passed <= burst + rate * (clock.monotonic() - started) + 1e-6


@given(
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_a_pace_of_ones_own_is_the_same(rate: float, burst: int, gaps: list[float]) -> None:
    """One key alone gets the same answers from either."""
    clock = FakeClock()
    bucket = Gcra(Rate(per_second=rate, burst=burst), clock=clock)
    pace = Pace(per_second=rate, burst=burst)
    for gap in gaps:
        clock.advance(gap)
        assert pace.ask(clock.monotonic()) == bucket.ask("a")


def test_memory_is_bounded_and_forgets_the_idle() -> None:
    """Many addresses cannot fill the memory; idle keys go first."""
    clock = FakeClock()
    bucket = Gcra(Rate(per_second=1, burst=5), clock=clock, most_keys=10)
    for number in range(50):
        bucket.ask(str(number))
    crowded = len(bucket._arrivals)
    clock.advance(60)
    bucket.ask("a")

    assert (crowded, len(bucket._arrivals)) == (10, 1)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("nonsense", "unknown"),
    ],
)
def test_an_address_is_keyed_by_its_owner(address: str, key: str) -> None:
    """A v6 user owns a /64; a v4 address in v6 clothes stays itself."""
    assert key == address_key(address)


def test_defaults_are_generous() -> None:
    """The defaults are the documented ones."""
    limits = RateLimits()

    assert (limits.read.per_second, limits.read.burst) == (50, 100)
    assert (limits.write.per_second, limits.write.burst) == (20, 40)
    assert (limits.sensitive.per_second, limits.sensitive.burst) == (5, 10)
