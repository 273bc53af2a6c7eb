"""Beats: all of one event-loop tick in one command, or in one statement while Valkey is away."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from common.clock import Clock
from common.db import Database, Unavailable
from common.log import get_logger
from common.runner import Runner
from mirror.errors import MirrorUnavailable
from mirror.mirror import BEAT_BATCH, Mirror
from mirror.outcomes import Applied
from mirror.truth import record_beats
from mirror.values import BeatOutcome

_log = get_logger("mirror")
_beats = Counter("mirror_beats_total", "Beats received", ["outcome", "source"])

_IN_FLIGHT: Final = 2
_MAX_WAITING: Final = 20_000
_MAX_REMEMBERED: Final = 10_000
# Someone who is offline in the mirror and in Postgres is not asked after again for this long: as
# long as it may take until the mirror learns that she went online after all.
_CONFIRMED_SECONDS: Final = 1.0

# An enumeration is slow to look into, and these are asked for with each beat.
_RECORDED: Final = BeatOutcome.RECORDED
_OFFLINE: Final = BeatOutcome.OFFLINE

Written = BeatOutcome | BaseException
"""What became of a beat, or why nobody could write it."""
Tell = Callable[[Written], None]
Waiting = tuple[UUID, float, Tell]


class Beats:
    """Takes beats; the receive time counts, however long the writing takes."""

    def __init__(
        self,
        *,
        mirror: Mirror,
        db: Database,
        heal: Callable[[Collection[UUID]], Awaitable[Applied]],
        runner: Runner,
        clock: Clock,
    ) -> None:
        self._mirror = mirror
        self._db = db
        self._heal = heal
        self._runner = runner
        self._clock = clock
        self._waiting: list[Waiting] = []
        self._doubted: list[Waiting] = []
        self._in_flight = 0
        self._scheduled = False
        self._confirming = False
        self._confirmed: dict[UUID, float] = {}

    async def beat(self, mitra_id: UUID) -> BeatOutcome:
        """Record that this mitra is there now; raises Unavailable when Postgres is away, too."""
        written: asyncio.Future[BeatOutcome] = asyncio.get_running_loop().create_future()
        self.take(mitra_id, functools.partial(_resolve, written))
        return await written

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Do the same without a task; tell, when it is written, whether she is online.

        None: nobody could write it.
        """
        self.take(mitra_id, lambda written: tell(_is_online(written)))

    def take(self, mitra_id: UUID, tell: Tell) -> None:
        """Do the same without a task; `tell` gets what beat() returns or raises."""
        if len(self._waiting) >= _MAX_WAITING:
            tell(Unavailable("Too many beats wait to be written."))
            return
        self._waiting.append((mitra_id, self._clock.monotonic(), tell))
        if not self._scheduled and self._in_flight < _IN_FLIGHT:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and self._in_flight < _IN_FLIGHT:
            batch, self._waiting = self._waiting[:BEAT_BATCH], self._waiting[BEAT_BATCH:]
            self._in_flight += 1
            self._runner.background(self._write(batch), name="beats")

    async def _write(self, batch: Sequence[Waiting]) -> None:
        try:
            outcomes = await self._mirror.record([(one[0], one[1]) for one in batch])
        except MirrorUnavailable:
            await self._write_down(batch)
        except BaseException as error:
            _fail(batch, error)
            raise
        else:
            self._answer(batch, outcomes)
        finally:
            self._in_flight -= 1
            self._flush()

    def _answer(self, batch: Sequence[Waiting], outcomes: Sequence[BeatOutcome]) -> None:
        certain = []
        for one, outcome in zip(batch, outcomes, strict=True):
            if outcome is _OFFLINE and not self._is_confirmed(one[0]):
                self._doubted.append(one)
            else:
                certain.append((one, outcome))
        _settle(certain, "mirror")
        self._clear_doubts()

    def _clear_doubts(self) -> None:
        if self._doubted and not self._confirming:
            self._confirming = True
            self._runner.background(self._confirm(), name="beats_confirm")

    async def _write_down(self, batch: Sequence[Waiting]) -> None:
        """Write to Postgres, which also refuses whoever was deactivated meanwhile."""
        now = self._clock.monotonic()
        try:
            found = await record_beats(self._db, [(one[0], (now - one[1]) * 1000) for one in batch])
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Unavailable):
                raise
            return
        _settle([(one, found[one[0]]) for one in batch], "postgres")

    async def _confirm(self) -> None:
        """Ask Postgres about those who are offline in the mirror, before an app is told so.

        Whoever went online a moment ago, while the mirror could not be written, is healed here.
        """
        try:
            while self._doubted:
                batch, self._doubted = self._doubted[:BEAT_BATCH], self._doubted[BEAT_BATCH:]
                await self._confirm_batch(batch)
        finally:
            self._confirming = False
            self._clear_doubts()

    async def _confirm_batch(self, batch: Sequence[Waiting]) -> None:
        now = self._clock.monotonic()
        ages = [(one[0], (now - one[1]) * 1000) for one in batch]
        try:
            found = await record_beats(self._db, ages)
        except Unavailable:
            # The mirror is all there is, and it says offline.
            _settle([(one, _OFFLINE) for one in batch], "mirror")
            return
        except BaseException as error:
            _fail(batch, error)
            raise
        try:
            if astray := [mitra for mitra, what in found.items() if what is _RECORDED]:
                await self._mend(astray)
        finally:
            # Whatever became of the mirror, her beat is written.
            _settle([(one, found[one[0]]) for one in batch], "postgres")
        self._remember([mitra for mitra, what in found.items() if what is _OFFLINE], now)

    async def _mend(self, mitra_ids: Collection[UUID]) -> None:
        _log.warning("mirror_drift_met", mitras=len(mitra_ids))
        try:
            await self._heal(mitra_ids)
        except (MirrorUnavailable, Unavailable) as error:
            _log.warning("mirror_heal_failed", error=str(error))

    def _remember(self, mitra_ids: Collection[UUID], now: float) -> None:
        if len(self._confirmed) + len(mitra_ids) > _MAX_REMEMBERED:
            self._confirmed.clear()
        self._confirmed.update((mitra_id, now + _CONFIRMED_SECONDS) for mitra_id in mitra_ids)

    def _is_confirmed(self, mitra_id: UUID) -> bool:
        return self._clock.monotonic() < self._confirmed.get(mitra_id, 0.0)


def _is_online(written: Written) -> bool | None:
    if isinstance(written, BeatOutcome):
        return written is _RECORDED
    if isinstance(written, Exception) and not isinstance(written, Unavailable | MirrorUnavailable):
        _log.error("beat_failed", exc_info=written)
    return None


@functools.cache
def _count(outcome: BeatOutcome, source: str) -> Counter:
    """Return a counter of beats; to look it up costs more than to use it."""
    return _beats.labels(outcome, source)


def _settle(certain: Sequence[tuple[Waiting, BeatOutcome]], source: str) -> None:
    outcomes = [outcome for _, outcome in certain]
    # Counted together: one by one that would cost as much as the answer.
    for outcome in set(outcomes):
        _count(outcome, source).inc(outcomes.count(outcome))
    _tell(certain)


def _fail(batch: Sequence[Waiting], error: BaseException) -> None:
    _tell((one, error) for one in batch)


def _tell(answers: Iterable[tuple[Waiting, Written]]) -> None:
    for (_, _, tell), written in answers:
        try:
            tell(written)
        except Exception:  # noqa: BLE001 - the others of the batch wait for their answers, too
            _log.exception("beat_not_told")


def _resolve(waiter: "asyncio.Future[BeatOutcome]", written: Written) -> None:
    if waiter.done():
        return
    if isinstance(written, BeatOutcome):
        waiter.set_result(written)
    elif isinstance(written, Exception):
        waiter.set_exception(written)
    else:
        waiter.cancel()
