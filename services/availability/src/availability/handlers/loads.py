"""Loads: recomputed from chat's rows, never counted; one recompute in flight, the rest gathers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Histogram

from availability.ports import LoadMirroring, LoadStore
from common.runner import Runner
from mirror import LoadFact

_recomputes = Counter("load_recomputes_total", "Statements that recomputed loads")
_batches = Histogram(
    "load_recompute_mitras", "Mitras per recompute", buckets=(1, 2, 5, 10, 50, 100, 500)
)

_BATCH: Final = 500


class Loads:
    """Whose load may have changed, and the loop that looks."""

    def __init__(
        self,
        *,
        store: LoadStore,
        mirroring: LoadMirroring,
        runner: Runner,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._mirroring = mirroring
        self._runner = runner
        self._changed = changed
        self._dirty: dict[UUID, asyncio.Future[None]] = {}
        self._running = False

    async def changed(self, mitra_id: UUID) -> None:
        """Recompute her load; return once the mirror was told. Raises Unavailable."""
        # One who is being recomputed now may have been read too early: she joins the next batch.
        done = self._dirty.get(mitra_id)
        if done is None:
            done = self._dirty[mitra_id] = asyncio.get_running_loop().create_future()
        if not self._running:
            self._running = True
            self._runner.background(self._drain(), name="loads")
        # Shielded: many events may wait for the same answer.
        await asyncio.shield(done)

    async def _drain(self) -> None:
        try:
            while self._dirty:
                batch = dict(list(self._dirty.items())[:_BATCH])
                for mitra_id in batch:
                    del self._dirty[mitra_id]
                await self._recompute(batch)
        finally:
            self._running = False

    async def _recompute(self, batch: dict[UUID, "asyncio.Future[None]"]) -> None:
        try:
            loads: Sequence[LoadFact] = await self._store.loads(list(batch))
            await self._mirroring.show_loads(loads)
        except BaseException as error:
            for done in batch.values():
                _fail(done, error)
            if not isinstance(error, Exception):
                raise
            return
        _recomputes.inc()
        _batches.observe(len(batch))
        for done in batch.values():
            if not done.done():
                done.set_result(None)
        self._changed()


def _fail(done: "asyncio.Future[None]", error: BaseException) -> None:
    if done.done():
        return
    if isinstance(error, Exception):
        done.set_exception(error)
        # Whoever waited may be gone; the error has been told to those who have not.
        done.exception()
    else:
        done.cancel()
