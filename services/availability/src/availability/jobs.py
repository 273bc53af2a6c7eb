"""What availability does without being asked."""

from availability.handlers import Lighthouse, ServiceDesk, Statuses, Upkeep
from availability.ports import Debts
from common.runner import Pulse, Runner

_SECOND = 1.0


class Jobs:
    """The loops; each does one bounded step."""

    def __init__(
        self,
        *,
        lighthouse: Lighthouse,
        service: ServiceDesk,
        upkeep: Upkeep,
        debts: Debts,
        statuses: Statuses,
        tick_seconds: float,
    ) -> None:
        self._lighthouse = lighthouse
        self._service = service
        self._upkeep = upkeep
        self._debts = debts
        self._statuses = statuses
        self._tick_seconds = tick_seconds

    def start(self, runner: Runner) -> Pulse:
        """Start them; the pulse makes the beacon look at once."""
        runner.every("mirror_watch", _SECOND, self._upkeep.watch)
        runner.every("mirror_reconcile", _SECOND, self._upkeep.reconcile)
        runner.every("mirror_debts", _SECOND, self._debts.settle_debts)
        runner.every("service_plan", _SECOND, self._service.follow)
        runner.every("due", self._tick_seconds, self._statuses.settle_due)
        return runner.every("beacon", _SECOND, self._lighthouse.step)
