"""A turn of the reconcile: where it is, how much each step must compare, and what it changed."""

from typing import Final
from uuid import UUID

from prometheus_client import Gauge

from common.clock import Clock
from mirror.outcomes import Applied

_drift = Gauge("mirror_drift", "Facts that the last full turn of the reconcile had to change")

NOBODY: Final = UUID(int=0)
# Drift lives for 30 s at the most: the rest is for the last step, and for a busy machine.
_SECONDS: Final = 25.0
# Steps come a second apart; after one that healed, later. After an outage no step is longer.
_PACES: Final = (1.0, 3.0)


class Turn:
    """Goes round all mitras in the order of their ids, again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stepped_at = clock.monotonic()
        self._pace = _PACES[0]
        self._before = 0
        self._mitras = 0
        self._changed = 0
        self.after = NOBODY
        """Whom the last step that succeeded ended with."""

    def step(self) -> None:
        """A step begins: the longer the last one was ago, the more it compares."""
        least, most = _PACES
        now = self._clock.monotonic()
        self._pace = min(max(now - self._stepped_at, least), most)
        self._stepped_at = now

    def stride(self, known: int) -> int:
        """Return how many a step must compare, of so many at least, to end the turn in time."""
        return int(max(self._before, known) * self._pace / _SECONDS) + 1

    def stepped(self, after: UUID, mitras: int, applied: Applied) -> None:
        """Note a step that succeeded, up to this mitra; NOBODY ends the turn."""
        self.after = after
        self._mitras += mitras
        self._changed += applied.newer + applied.healed
        if after == NOBODY:
            _drift.set(self._changed)
            self._before, self._mitras, self._changed = self._mitras, 0, 0

    def rest(self) -> None:
        """Somebody else compares: begin anew when it is our turn, and show nothing of before."""
        self.after, self._mitras, self._changed = NOBODY, 0, 0
        _drift.set(0)
