"""Prometheus' view of the sweeps; no ids in labels."""

from prometheus_client import Counter, Gauge, Histogram

from sweeper.domain import Swept

_PASSES = Counter("sweep_passes_total", "Passes by outcome", ["sweep", "outcome"])
_ITEMS = Counter("sweep_items_total", "Rows that passes moved", ["sweep"])
_SECONDS = Histogram(
    "sweep_seconds",
    "How long a pass took",
    ["sweep"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_LAST = Gauge(
    "sweep_last_success_timestamp_seconds", "When a pass last ended without skipping", ["sweep"]
)
_HELD = Gauge("sweep_leases_held", "Leases that this replica holds")
_BRAKE = Gauge("sweep_brake_on", "1 while a stopped pass waits for a confirmation", ["sweep"])


class PrometheusMeter:
    """Counts passes."""

    def swept(self, sweep: str, swept: Swept, *, seconds: float) -> None:
        """Count a pass that ended."""
        outcome = "done" if swept.skipped is None else "skipped"
        _PASSES.labels(sweep, outcome).inc()
        _ITEMS.labels(sweep).inc(swept.count)
        _SECONDS.labels(sweep).observe(seconds)
        if swept.skipped is None:
            _LAST.labels(sweep).set_to_current_time()

    def failed(self, sweep: str) -> None:
        """Count a pass that raised."""
        _PASSES.labels(sweep, "failed").inc()

    def held(self, leases: int) -> None:
        """Show how many leases this replica holds."""
        _HELD.set(leases)

    def braked(self, sweep: str, *, on: bool) -> None:
        """Show whether the brake of a sweep is on."""
        _BRAKE.labels(sweep).set(1 if on else 0)

    def gone(self, sweep: str) -> None:
        """Show nothing more of a brake that another replica looks after now."""
        _BRAKE.remove(sweep)
