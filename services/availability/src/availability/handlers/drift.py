"""What the mirror had otherwise: written down as it is mended, and told to operators."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from availability.domain.drift import DriftPage, Looks
from availability.ports import DriftStore
from common.clock import Clock
from mirror import DriftBook, MirrorState, Reconciled, Seeded


@dataclass(frozen=True, slots=True)
class DriftReport:
    """How the mirror is, what the last full looks found, and what was mended lately."""

    state: MirrorState
    looks: Looks
    recent: DriftPage


class DriftLog:
    """Keeps what this replica's reconcile and reseeds mend; each turn of all mitras is counted."""

    def __init__(self, *, book: DriftBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._turn: _Turn | None = None

    async def stepped(self, step: Reconciled, *, seconds: float) -> None:
        """Note one step of the reconcile, which took this long; never fails."""
        if self._turn is None:
            self._turn = _Turn(began=self._clock.monotonic() - seconds)
        self._turn.mitras += step.mitras
        self._turn.found += await self._book.note("reconcile", step.applied.mended)
        if step.turned:
            turn, self._turn = self._turn, None
            took = self._clock.monotonic() - turn.began
            if turn.mitras:  # a turn of nobody never looked at the mirror
                await self._book.note_turn(seconds=took, mitras=turn.mitras, found=turn.found)

    def rest(self) -> None:
        """Forget the turn: another replica goes on, and one of ours will begin anew."""
        self._turn = None

    async def reseeded(self, seeded: Seeded) -> None:
        """Note what a reseed found; never fails."""
        await self._book.note_reseed(seeded)


class Drift:
    """What operators see of it."""

    def __init__(self, *, store: DriftStore, state: Callable[[], MirrorState]) -> None:
        self._store = store
        self._state = state

    async def report(self, *, before: UUID | None, limit: int) -> DriftReport:
        """Return the state, the last looks and a page of what was mended, the newest first."""
        items = await self._store.page(before=before, limit=limit)
        is_full = len(items) == limit
        return DriftReport(
            state=self._state(),
            looks=await self._store.looks(),
            recent=DriftPage(items, items[-1].drift_id if is_full else None),
        )

    async def prune(self) -> int:
        """Forget what is too old; return how many rows."""
        return await self._store.prune()


@dataclass(slots=True)
class _Turn:
    began: float
    mitras: int = 0
    found: int = 0
