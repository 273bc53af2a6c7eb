"""What availability does without being asked."""

from availability.handlers import Brakes, Drift, Lighthouse, ServiceDesk, Statuses, Upkeep
from availability.ports import Debts
from common.runner import Pulse, Runner

_SECOND = 1.0
# What is pruned is days old: a minute more is nothing, and the bites keep up with any flood.
_PRUNE_SECONDS = 60.0


class Jobs:
    """The loops; each does one bounded step."""

    def __init__(
        self,
        *,
        lighthouse: Lighthouse,
        service: ServiceDesk,
        upkeep: Upkeep,
        debts: Debts,
        drift: Drift,
        brakes: Brakes,
        statuses: Statuses,
        tick_seconds: float,
    ) -> None:
        self._lighthouse = lighthouse
        self._service = service
        self._upkeep = upkeep
        self._debts = debts
        self._drift = drift
        self._brakes = brakes
        self._statuses = statuses
        self._tick_seconds = tick_seconds

    def start(self, runner: Runner) -> Pulse:
        """Start them; the pulse makes the beacon look at once."""
        runner.every("serving", _SECOND, self._upkeep.serve)
        runner.every("mirror_watch", _SECOND, self._upkeep.watch)
        runner.every("mirror_reconcile", _SECOND, self._upkeep.reconcile)
        runner.every("mirror_debts", _SECOND, self._debts.settle_debts)
        runner.every("service_plan", _SECOND, self._service.follow)
        runner.every("brake", _SECOND, self._brakes.look)
        runner.every("due", self._tick_seconds, self._statuses.settle_due)
        runner.every("drift_pruning", _PRUNE_SECONDS, self._drift.prune)
        return runner.every("beacon", _SECOND, self._lighthouse.step)
