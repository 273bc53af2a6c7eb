"""A mitra looks, accepts, declines; offers of a mitra who is gone fall."""

from collections.abc import Callable
from uuid import UUID

from prometheus_client import Counter, Histogram

from common.db import Unavailable
from common.log import get_logger
from pairing import domain, errors
from pairing.domain import Accepted
from pairing.handlers.announce import Announcer
from pairing.handlers.gate import ClaimGate, Ticket
from pairing.handlers.render import accepted_view, offer_view
from pairing.ports import Alarm, OfferStore, RingStore
from pairing.settings import Settings
from pairing.views.shapes import AcceptedView, OffersView, OfferView

_log = get_logger("offers")
_answers = Counter("pairing_offers_total", "Offers by what became of them", ["answer"])
_refusals = Counter("pairing_accepts_refused_total", "Accepts that were refused", ["code"])
_waits = Histogram(
    "pairing_wait_seconds",
    "From the start of a search to its match",
    buckets=(0.5, 1, 2, 5, 10, 20, 30, 60, 120),
)

# A claim can lose to a rival who then rolls back (she was full): worth asking again.
_TRIES = 3


class Offers:
    """What may be done with offers."""

    def __init__(
        self,
        *,
        store: OfferStore,
        rings: RingStore,
        gate: ClaimGate,
        announcer: Announcer,
        alarm: Alarm,
        settings: Settings,
        tell_soon: Callable[[UUID], None],
    ) -> None:
        self._store = store
        self._rings = rings
        self._gate = gate
        self._announcer = announcer
        self._alarm = alarm
        self._settings = settings
        self._tell_soon = tell_soon

    async def open_offers(self, mitra_id: UUID) -> OffersView:
        """Return what this mitra may accept at this moment."""
        offers = await self._store.open_offers(mitra_id)
        for offer in offers:
            self._gate.remember(offer.id, mitra_id, (offer.request_id, offer.attempt))
        return OffersView(offers=[offer_view(offer) for offer in offers])

    async def accept(self, offer_id: UUID, *, mitra_id: UUID) -> AcceptedView:
        """Take the request: the first wins, and asking again gives the winner the same session.

        Raises OfferNotFound, OfferExpired, RequestTaken, MitraFull, MitraInactive.
        """
        try:
            return await self._accept(offer_id, mitra_id)
        except errors.PairingError as refusal:
            _refusals.labels(refusal.code).inc()
            raise

    async def _accept(self, offer_id: UUID, mitra_id: UUID) -> AcceptedView:
        ticket = await self._ticket(offer_id, mitra_id)
        async with self._gate.turn(ticket, mitra_id):
            accepted = await self._claim(offer_id, mitra_id)
            self._gate.won(ticket, mitra_id)
        if accepted.fresh:
            _log.info(
                "offer_accepted",
                offer_id=offer_id,
                mitra_id=mitra_id,
                pairing_request_id=accepted.request_id,
                session_id=accepted.session_id,
                waited_seconds=round(accepted.waited_seconds, 3),
                withdrawn=len(accepted.withdrawn),
            )
            _answers.labels("accepted").inc()
            _waits.observe(accepted.waited_seconds)
            self._announcer.won(accepted, offer_id)
            self._tell_soon(accepted.request_id)
        return accepted_view(accepted)

    async def _ticket(self, offer_id: UUID, mitra_id: UUID) -> Ticket:
        ticket = self._gate.ticket_of(offer_id, mitra_id)
        if ticket is None:
            ticket = await self._store.request_of_offer(offer_id, mitra_id)
            if ticket is None:
                raise errors.OfferNotFound
            self._gate.remember(offer_id, mitra_id, ticket)
        return ticket

    async def _claim(self, offer_id: UUID, mitra_id: UUID) -> Accepted:
        for _ in range(_TRIES):
            accepted = await self._store.claim(offer_id, mitra_id)
            if accepted is not None:
                return accepted
            standing = await self._store.standing(offer_id, mitra_id)
            if standing is None:
                raise errors.OfferNotFound
            if domain.own_win(standing, mitra_id):
                return await self._again(standing)
            if not domain.still_open(standing):
                raise domain.refusal(standing)
        raise Unavailable("Others are accepting this request right now.")

    async def _again(self, standing: domain.Standing) -> Accepted:
        """Give the winner her session once more, as chat has it now."""
        mitra_id = standing.mitra_id
        if mitra_id is None:
            raise errors.OfferExpired
        session = await self._store.session_of(standing.request_id, mitra_id)
        if session is None:
            # Rerouted away in this very moment: it is not hers any more.
            raise errors.OfferExpired
        session_id, state = session
        return Accepted(
            request_id=standing.request_id,
            customer_id=standing.customer_id,
            mitra_id=mitra_id,
            session_id=session_id,
            session_state=state,
            fresh=False,
        )

    async def decline(self, offer_id: UUID, *, mitra_id: UUID) -> OfferView:
        """Note her no; when she was the last who was asked, the next ring goes out at once.

        Raises OfferNotFound, OfferExpired, RequestSettled.
        """
        request_id = await self._store.decline(offer_id, mitra_id)
        if request_id is not None:
            _answers.labels("declined").inc()
            await self._widen([request_id])
            self._announcer.withdrawn(
                [domain.Withdrawal(offer_id, mitra_id, request_id)], "declined"
            )
        offer = await self._store.offer(offer_id, mitra_id)
        if offer is None:
            raise errors.OfferNotFound
        if offer.state == "accepted":
            raise errors.RequestSettled
        if offer.state != "declined":
            raise errors.OfferExpired
        return offer_view(offer)

    async def seen(self, offer_id: UUID, *, mitra_id: UUID) -> None:
        """Note that she looked at it. Raises OfferNotFound."""
        if not await self._store.note_seen(offer_id, mitra_id):
            raise errors.OfferNotFound

    async def delivered(self, offer_id: UUID, *, mitra_id: UUID) -> None:
        """Note that her app has it. Raises OfferNotFound."""
        if not await self._store.note_delivered(offer_id, mitra_id):
            raise errors.OfferNotFound

    async def mitra_offline(self, mitra_id: UUID) -> int:
        """Take back her open offers, unless she is reachable again meanwhile."""
        withdrawn = await self._store.withdraw_of_unreachable(
            mitra_id, fresh_limit_seconds=self._settings.fresh_limit_seconds
        )
        return await self._fell(withdrawn, "mitra_offline", mitra_id)

    async def mitra_deactivated(self, mitra_id: UUID) -> int:
        """Take back her open offers, unless she is active again meanwhile."""
        withdrawn = await self._store.withdraw_of_inactive(mitra_id)
        return await self._fell(withdrawn, "mitra_deactivated", mitra_id)

    async def expire(self, offer_ids: list[UUID]) -> int:
        """End offers whose life is over and widen where nobody is left; returns how many."""
        ended = await self._store.expire_offers(offer_ids)
        if ended:
            _answers.labels("expired").inc(len(ended))
            self._announcer.withdrawn(ended, "expired")
            await self._widen([offer.request_id for offer in ended])
        return len(ended)

    async def _fell(self, withdrawn: list[domain.Withdrawal], reason: str, mitra_id: UUID) -> int:
        if withdrawn:
            _log.info("offers_withdrawn", mitra_id=mitra_id, reason=reason, count=len(withdrawn))
            self._announcer.withdrawn(withdrawn, reason)
            await self._widen([offer.request_id for offer in withdrawn])
        return len(withdrawn)

    async def _widen(self, request_ids: list[UUID]) -> None:
        if await self._rings.hasten(sorted(set(request_ids))):
            self._alarm.within(0)
