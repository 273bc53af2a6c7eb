"""Deadlines: each is a column of the row it ends, and the guarded row decides who meets it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from prometheus_client import Counter

from common.db import Unavailable
from common.log import get_logger
from pairing.domain import DueItem, Ended
from pairing.handlers.announce import Announcer
from pairing.handlers.offers import Offers
from pairing.handlers.rings import Rings
from pairing.ports import RequestStore, RingStore

_log = get_logger("deadlines")
_expired = Counter("pairing_requests_expired_total", "Requests that nobody accepted in time")

_BATCH = 50
_LIMIT = 500
# Rings of different requests go out side by side, but leave the pool to the people who wait.
_RINGS_AT_ONCE = 4
_STUCK_SECONDS = 0.5


class Deadlines:
    """Settles what is due: for the local ticker and for the sweeper alike."""

    def __init__(
        self,
        *,
        requests: RequestStore,
        store: RingStore,
        offers: Offers,
        rings: Rings,
        announcer: Announcer,
    ) -> None:
        self._requests = requests
        self._store = store
        self._offers = offers
        self._rings = rings
        self._announcer = announcer
        # Of the whole replica: its ticker and several commands of the sweeper come together.
        self._turn = asyncio.Semaphore(_RINGS_AT_ONCE)

    async def settle_due(self) -> float | None:
        """Settle everything that is due; return the seconds to the next deadline, None if none."""
        while due := await self._store.due(_LIMIT):
            if not await self.settle(due):
                # Another replica is at it, or it cannot be done now: no reason to spin.
                return _STUCK_SECONDS
            if len(due) < _LIMIT:
                break
        return await self._store.seconds_to_next()

    async def settle(self, items: Sequence[DueItem]) -> int:
        """Settle these deadlines where they are still due; return how many moved."""
        by_kind: dict[str, list[UUID]] = {}
        for item in items:
            by_kind.setdefault(item.kind, []).append(item.id)
        settled = await self._in_batches(by_kind.get("request", []), self._expire_requests)
        settled += await self._in_batches(by_kind.get("offer", []), self._offers.expire)
        settled += await self._send_rings(by_kind.get("ring", []))
        return settled

    async def _expire_requests(self, request_ids: list[UUID]) -> int:
        ended = await self._requests.expire_requests(request_ids)
        for one in ended:
            self._tell_expired(one)
        return len(ended)

    def _tell_expired(self, ended: Ended) -> None:
        _expired.inc()
        _log.info(
            "request_expired",
            pairing_request_id=ended.request.id,
            attempt=ended.request.attempt,
            asked=ended.request.asked,
        )
        self._announcer.ended(ended)

    async def _in_batches(
        self, ids: list[UUID], settle: Callable[[list[UUID]], Awaitable[int]]
    ) -> int:
        settled = 0
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            try:
                settled += await settle(batch)
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001 - one row that cannot be settled must not hold up the rest
                _log.exception("batch_failed", size=len(batch))
                settled += await self._one_by_one(batch, settle)
        return settled

    async def _one_by_one(
        self, ids: list[UUID], settle: Callable[[list[UUID]], Awaitable[int]]
    ) -> int:
        settled = 0
        for one in ids:
            try:
                settled += await settle([one])
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001 - (same)
                _log.exception("deadline_failed", id=one)
        return settled

    async def _send_rings(self, request_ids: list[UUID]) -> int:
        async def send(request_id: UUID) -> bool:
            async with self._turn:
                return await self._rings.send(request_id)

        outcomes = await asyncio.gather(
            *(send(request_id) for request_id in request_ids), return_exceptions=True
        )
        for request_id, outcome in zip(request_ids, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                _log.warning("ring_failed", pairing_request_id=request_id, error=repr(outcome))
        return sum(outcome is True for outcome in outcomes)
