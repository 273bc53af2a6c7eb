"""Loads: recomputed from chat's rows, never counted."""

from collections.abc import Callable, Collection
from uuid import UUID

from prometheus_client import Counter, Histogram

from availability.ports import LoadMirroring, LoadStore

_recomputes = Counter("load_recomputes_total", "Statements that recomputed loads")
_batches = Histogram(
    "load_recompute_mitras", "Mitras per recompute", buckets=(1, 2, 5, 10, 50, 100, 500)
)


class Loads:
    """Whose load may have changed, and the statement that looks."""

    def __init__(
        self, *, store: LoadStore, mirroring: LoadMirroring, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._mirroring = mirroring
        self._changed = changed

    async def changed(self, mitra_ids: Collection[UUID]) -> None:
        """Recompute their loads; return once the mirror was told. Raises Unavailable."""
        loads = await self._store.loads(list(mitra_ids))
        await self._mirroring.show_loads(loads)
        _recomputes.inc()
        _batches.observe(len(mitra_ids))
        self._changed()
