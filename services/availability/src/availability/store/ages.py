"""How long ago, by the clock of Postgres."""

from datetime import timedelta


def age_of(seconds: float | None) -> timedelta | None:
    """Return an age that is never negative; None for what never was."""
    return None if seconds is None else timedelta(seconds=max(0.0, seconds))
