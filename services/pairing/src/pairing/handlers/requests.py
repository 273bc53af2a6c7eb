"""A customer asks, looks and cancels; operators look."""

from collections.abc import Callable
from uuid import UUID

from prometheus_client import Counter

from common.clock import Clock
from common.idempotency import IdempotencyMismatch
from common.log import get_logger
from pairing import errors
from pairing.domain import IdempotencyKey, PairingRequest, Tier, Wish
from pairing.handlers.announce import Announcer
from pairing.handlers.render import (
    control_view,
    decision_view,
    offer_record_view,
    request_view,
    stats_view,
)
from pairing.ports import RequestStore
from pairing.settings import Settings
from pairing.views.shapes import ControlRequestView, RequestRecordView, RequestView, StatsView

_log = get_logger("requests")
_opened = Counter("pairing_requests_opened_total", "Requests that customers opened")
_cancelled = Counter("pairing_requests_cancelled_total", "Requests that customers gave up")
_refused = Counter(
    "pairing_requests_refused_closed_total",
    "New requests refused while the service was closed, by switch or hours",
    ["reason"],
)
for _reason in ("switch", "hours"):
    _refused.labels(_reason)  # a rate needs the zero before the first one


class Requests:
    """What may be done with requests."""

    def __init__(
        self,
        *,
        store: RequestStore,
        announcer: Announcer,
        clock: Clock,
        settings: Settings,
        ring_soon: Callable[[UUID], None],
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._clock = clock
        self._settings = settings
        self._ring_soon = ring_soon

    async def open(self, wish: Wish, *, key: IdempotencyKey | None) -> RequestView:
        """Open a search with the tier's present version; its first ring goes out at once.

        The same key and body again give the same request as it stands now. Raises TierUnknown,
        RequestOpen, ServiceClosed, IdempotencyMismatch.
        """
        if key and (made := await self._made_before(wish.customer_id, key)):
            return await self._view(made)
        tier = await self._store.offered_tier(wish.tier_id)
        if tier is None:
            raise errors.TierUnknown
        request = await self._open(wish, tier, key)
        if request is None and await self._end_overdue(wish.customer_id):
            request = await self._open(wish, tier, key)
        if request is None:
            return await self._lost_to_twin(wish.customer_id, key)
        _log.info(
            "request_opened",
            pairing_request_id=request.id,
            customer_id=wish.customer_id,
            tier=tier.tier_id,
        )
        _opened.inc()
        self._ring_soon(request.id)
        view = request_view(request)
        self._announcer.request(request)
        return view

    async def _open(
        self, wish: Wish, tier: Tier, key: IdempotencyKey | None
    ) -> PairingRequest | None:
        try:
            return await self._store.open_request(
                wish, tier=tier, wait_seconds=self._settings.request_wait_seconds, key=key
            )
        except errors.ServiceClosed as closed:
            _refused.labels(closed.why or "unknown").inc()
            raise

    async def _end_overdue(self, customer_id: UUID) -> bool:
        """End the customer's search if its wait is over and nobody has swept it yet."""
        request_id = await self._store.open_request_of(customer_id)
        ended = [] if request_id is None else await self._store.expire_requests([request_id])
        for one in ended:
            self._announcer.ended(one)
        return bool(ended)

    async def _made_before(self, customer_id: UUID, key: IdempotencyKey) -> PairingRequest | None:
        made = await self._store.made_with(customer_id, key)
        if made is None:
            return None
        request, same_body = made
        if not same_body:
            raise IdempotencyMismatch
        return request

    async def _lost_to_twin(self, customer_id: UUID, key: IdempotencyKey | None) -> RequestView:
        """Answer a call whose insert was refused: by its own twin, or by another open request."""
        if key and (made := await self._made_before(customer_id, key)):
            return await self._view(made)
        raise errors.RequestOpen(await self._store.open_request_of(customer_id))

    async def get(self, request_id: UUID, *, customer_id: UUID) -> RequestView:
        """Return the customer's own request. Raises RequestNotFound."""
        return await self._view(await self._own(request_id, customer_id))

    async def current(self, customer_id: UUID) -> RequestView | None:
        """Return what a reconnecting customer must know: the open request or the last outcome."""
        request = await self._store.current_request(
            customer_id, outcome_seconds=self._settings.outcome_seconds
        )
        return None if request is None else await self._view(request)

    async def cancel(self, request_id: UUID, *, customer_id: UUID) -> RequestView:
        """End the search and free everyone who was asked; again: the same answer.

        Raises RequestNotFound, RequestSettled.
        """
        ended = await self._store.cancel_request(request_id, customer_id)
        if ended is not None:
            _log.info(
                "request_cancelled", pairing_request_id=request_id, withdrawn=len(ended.withdrawn)
            )
            _cancelled.inc()
            self._announcer.ended(ended)
            return request_view(ended.request)
        request = await self._own(request_id, customer_id)
        if request.state != "cancelled":
            raise errors.RequestSettled
        return request_view(request)

    async def list(
        self, *, state: str | None, before: UUID | None, limit: int
    ) -> list[ControlRequestView]:
        """Return requests for operators, newest first."""
        rows = await self._store.list_requests(state=state, before=before, limit=limit)
        return [control_view(row) for row in rows]

    async def record(self, request_id: UUID) -> RequestRecordView:
        """Return a request with everyone considered for it. Raises RequestNotFound."""
        request = await self._store.request(request_id)
        if request is None:
            raise errors.RequestNotFound
        offers, decisions = await self._store.record(request_id)
        return RequestRecordView(
            request=control_view(request),
            offers=[offer_record_view(offer) for offer in offers],
            decisions=[decision_view(decision) for decision in decisions],
        )

    async def stats(self) -> StatsView:
        """Return how pairing did in the last hour."""
        return stats_view(await self._store.stats(), as_of=self._clock.now())

    async def _own(self, request_id: UUID, customer_id: UUID) -> PairingRequest:
        request = await self._store.request(request_id)
        if request is None or request.customer_id != customer_id:
            raise errors.RequestNotFound
        return request

    async def _view(self, request: PairingRequest) -> RequestView:
        mitra = None if request.mitra_id is None else await self._store.mitra(request.mitra_id)
        return request_view(request, mitra)
