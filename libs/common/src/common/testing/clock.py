"""A clock that moves when the test says so."""

from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakeClock:
    """Satisfies common.clock.Clock; wall and monotonic time advance together."""

    def __init__(self, now: datetime = _START) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the moment the test has set."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that grow with every advance()."""
        return self._monotonic

    def advance(self, by: timedelta | float) -> datetime:
        """Move on by a duration (a number means seconds) and return the new moment."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)
        return self._now

    def skew(self, by: timedelta) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self._now += by
