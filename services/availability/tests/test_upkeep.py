"""Who may compare the mirror with Postgres, and what becomes of a turn that passes to another."""

from typing import Any, cast

import pytest
from services.availability.tests.fakes import FakeClock

from availability.domain import Patience
from availability.handlers import DriftLog, Upkeep
from common.ids import new_id
from mirror import Applied, Reconciled


class Turns:
    """A seeder, a book and a lease that a test gives and takes."""

    def __init__(self) -> None:
        self.is_ours = True
        self.what_is_wrong: str | None = None
        self.rests = 0
        self.looks = list[tuple[float, int]]()
        self.steps = [Reconciled(5, Applied(), [], turned=False)] * 2

    async def hold(self, _lease: str, **_: object) -> bool:
        """Say whether the lease is ours."""
        return self.is_ours

    async def trouble(self) -> str | None:
        """Say why this is no mirror."""
        return self.what_is_wrong

    async def reconcile(self) -> Reconciled:
        """Take a step; the third ends the turn."""
        return self.steps.pop() if self.steps else Reconciled(5, Applied(), [], turned=True)

    def rest(self) -> None:
        """Count."""
        self.rests += 1

    async def note(self, *_: object) -> int:
        """Keep nothing."""
        return 0

    async def note_turn(self, *, seconds: float, mitras: int, found: int) -> None:
        """Keep what a turn was said to be."""
        assert found == 0
        self.looks.append((seconds, mitras))


def upkeep_of(turns: Turns, clock: FakeClock) -> Upkeep:
    """Wire the handler."""
    return Upkeep(
        seeder=cast("Any", turns),
        leases=cast("Any", turns),
        serving=cast("Any", turns),
        patience=Patience(auto_offline=75, gap=25, grace=65),
        holder=new_id(),
        drift=DriftLog(book=cast("Any", turns), clock=cast("Any", clock)),
        settle_deactivated=cast("Any", None),
        clock=cast("Any", clock),
        changed=lambda: None,
    )


@pytest.mark.req("AV-09", "AV-15")
async def test_a_turn_that_another_replica_went_on_with_is_forgotten() -> None:
    """Back in charge an hour later it counts from anew, and says nothing of the hour."""
    turns, clock = Turns(), FakeClock()
    upkeep = upkeep_of(turns, clock)
    await upkeep.reconcile()
    turns.is_ours = False
    await upkeep.reconcile()
    clock.pass_(3600)
    turns.is_ours = True
    await upkeep.reconcile()
    await upkeep.reconcile()

    assert turns.rests == 1
    assert turns.looks == [(0, 10)]


@pytest.mark.req("AV-09", "AV-15")
async def test_what_a_mirror_lost_with_everything_else_is_no_drift() -> None:
    """Emptied and not seeded yet, it is compared with nothing: all of it would seem missed."""
    turns, clock = Turns(), FakeClock()
    upkeep = upkeep_of(turns, clock)
    turns.what_is_wrong = "it was never seeded"
    await upkeep.reconcile()
    assert len(turns.steps) == 2

    turns.what_is_wrong = None
    await upkeep.reconcile()
    assert len(turns.steps) == 1
