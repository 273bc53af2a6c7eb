"""First the mirror, then Postgres: joined once, so that no reader knows about it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Any, Final, TypeVar
from uuid import UUID

from prometheus_client import Counter

from common.clock import Clock
from common.db import Unavailable
from mirror.errors import MirrorUnavailable
from mirror.ports import Presence
from mirror.values import Counts, Histogram, MitraStatus, Reachability

_fallbacks = Counter(
    "mirror_fallbacks_total", "Questions that Postgres answered for the mirror", ["question"]
)

AT_ONCE: Final = 8
# Of the pool's connections: two batches of beats, one of beats in doubt, and one for others' work.
_NOT_FOR_QUESTIONS: Final = 4
_PATIENCE: Final = 0.5
_KEEP_COUNTS: Final = 0.25

T = TypeVar("T")


def places(pool_size: int) -> int:
    """Return how many questions may be with Postgres at once, given the connections there are."""
    return max(1, min(AT_ONCE, pool_size - _NOT_FOR_QUESTIONS))


class Bulkhead:
    """Lets a few questions through to Postgres at a time, equal ones once."""

    def __init__(self, *, clock: Clock, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._places = asyncio.Semaphore(at_once)
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    async def ask(
        self, key: Hashable, question: Callable[[], Awaitable[T]], *, keep_seconds: float = 0.0
    ) -> T:
        """Return the answer; share it with whoever asks the same meanwhile (or shortly after)."""
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept[0]:
            answer: T = kept[1]
            return answer
        task = self._asked.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._question(question))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._answered(key, done, keep_seconds))
        # Shielded: one impatient asker must not take the answer from the others.
        shared: T = await asyncio.shield(task)
        return shared

    async def _question(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Too many ask Postgres in place of the mirror.") from None
        try:
            return await question()
        finally:
            self._places.release()

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]", keep_seconds: float) -> None:
        self._asked.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        if keep_seconds > 0:
            self._kept[key] = (self._clock.monotonic() + keep_seconds, task.result())


class WithFallback:
    """A Presence that asks the first and, where that is no mirror now, the second."""

    def __init__(self, *, first: Presence, then: Presence, bulkhead: Bulkhead) -> None:
        self._first = first
        self._then = then
        self._bulkhead = bulkhead

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Return up to `limit` available mitras, spread at random, none of `exclude`."""
        left_out = frozenset(exclude)
        try:
            return await self._first.find_available(limit, left_out)
        except MirrorUnavailable:
            _fallbacks.labels("find_available").inc()
        return await self._bulkhead.ask(
            ("find", limit, left_out), lambda: self._then.find_available(limit, left_out)
        )

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Return for each of these mitras whether she is reachable and available."""
        whom = frozenset(mitra_ids)
        if not whom:
            return {}
        try:
            return await self._first.is_reachable(whom)
        except MirrorUnavailable:
            _fallbacks.labels("is_reachable").inc()
        return await self._bulkhead.ask(("reach", whom), lambda: self._then.is_reachable(whom))

    async def counts(self) -> Counts:
        """Return how many mitras are online, reachable and available."""
        try:
            return await self._first.counts()
        except MirrorUnavailable:
            _fallbacks.labels("counts").inc()
        return await self._bulkhead.ask("counts", self._then.counts, keep_seconds=_KEEP_COUNTS)

    async def histogram(self) -> Histogram:
        """Return how many of those online hold 0, 1, 2 … slots."""
        try:
            return await self._first.histogram()
        except MirrorUnavailable:
            _fallbacks.labels("histogram").inc()
        return await self._bulkhead.ask("histogram", self._then.histogram)

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Return what is known of one mitra; None for whom was never here."""
        try:
            held = await self._first.status(mitra_id)
        except MirrorUnavailable:
            _fallbacks.labels("status").inc()
            held = None
        if held is not None:
            return held
        # A mirror that lacks a fact of hers has yet to hear it: Postgres has them all.
        return await self._bulkhead.ask(("status", mitra_id), lambda: self._then.status(mitra_id))
