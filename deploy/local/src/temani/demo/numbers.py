"""What a run counts and measures."""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PATHS = (
    "extension",
    "extension_declined",
    "extension_timed_out",
    "cancel",
    "decline",
    "reroute",
    "dropped_and_resumed",
    "refused_when_full",
    "expired_wait",
    "payment_denied_then_paid",
    "payment_expired",
    "http_fallback",
    "ended_early",
    "deactivated_and_back",
)
REQUIRED_PATHS = (
    "extension",
    "cancel",
    "decline",
    "reroute",
    "dropped_and_resumed",
    "refused_when_full",
    "expired_wait",
)


@dataclass
class Numbers:
    """Counters, latencies and paths of one run; cheap enough to be told everything."""

    counts: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)
    _latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=4000))

    def count(self, what: str, by: int = 1) -> None:
        """Something happened."""
        self.counts[what] += by

    def walked(self, path: str) -> None:
        """A path of the product was walked to its end."""
        self.paths[path] += 1

    def surprise(self, what: str) -> None:
        """Something that should not happen without a fault of ours or of the system."""
        self.surprises[what] += 1

    def took(self, name: str, seconds: float) -> None:
        """One measured latency."""
        self._latencies[name].append(seconds)

    def event(self) -> None:
        """One frame or answer arrived (for the rate on the display)."""
        self._recent.append(time.monotonic())

    def events_per_second(self, window: float = 5.0) -> float:
        """Frames and answers in the last seconds."""
        since = time.monotonic() - window
        return sum(1 for at in self._recent if at >= since) / window

    def latencies(self) -> dict[str, dict[str, float]]:
        """Milliseconds at the median and at the 99th percentile, by name."""
        return {
            name: {"p50": _at(values, 0.50), "p99": _at(values, 0.99), "count": len(values)}
            for name, values in sorted(self._latencies.items())
        }

    def missing_paths(self) -> list[str]:
        """Paths that a run must walk and this one did not."""
        return [path for path in REQUIRED_PATHS if not self.paths[path]]


def _at(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    place = max(math.ceil(share * len(ordered)) - 1, 0)
    return round(ordered[place] * 1000, 2)


@dataclass(frozen=True)
class Summary:
    """What a run came to; this is what `.temani/demo.json` holds."""

    seed: int
    seconds: float
    sessions_completed: int
    sessions_extended: int
    messages: int
    requests: int
    violations: int
    violation_texts: list[str]
    latency_ms: dict[str, dict[str, float]]
    paths_walked: dict[str, int]
    missing_paths: list[str]
    counts: dict[str, int]
    surprises: dict[str, int]
    invariants: dict[str, str]
    history: str

    @property
    def ok(self) -> bool:
        """Whether every invariant held and every required path was walked."""
        return not self.violations and not self.missing_paths

    def as_json(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {"ok": self.ok, **asdict(self)}
