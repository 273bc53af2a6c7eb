"""Tells people's sockets what was committed; hints only, whoever misses one reads the rows."""

from collections.abc import Sequence
from uuid import UUID

from common.db import Unavailable
from common.log import get_logger
from pairing.domain import Accepted, Beacon, Blast, Ended, Mitra, PairingRequest, Withdrawal
from pairing.handlers.render import beacon_view, offer_view, request_view, withdrawn_view
from pairing.ports import RequestStore, Telling
from pairing.views.frames import BeaconFrame, OfferFrame, OfferWithdrawnFrame, RequestFrame

_log = get_logger("announce")


class Announcer:
    """What customers and mitras are told."""

    def __init__(self, *, requests: RequestStore, telling: Telling) -> None:
        self._requests = requests
        self._telling = telling

    def blast(self, blast: Blast) -> None:
        """Tell each mitra of a ring about her offer: one message for all of them."""
        self._telling.mitras(
            [(offer.mitra_id, offer.id) for offer in blast.offers],
            OfferFrame(data=offer_view(blast.offers[0])),
            ticket=(blast.request_id, blast.attempt),
        )

    def withdrawn(self, withdrawals: Sequence[Withdrawal], reason: str) -> None:
        """Tell mitras that their offers are gone, one message for each request."""
        by_request: dict[UUID, list[Withdrawal]] = {}
        for withdrawal in withdrawals:
            by_request.setdefault(withdrawal.request_id, []).append(withdrawal)
        for same in by_request.values():
            self._telling.mitras(
                [(w.mitra_id, w.offer_id) for w in same],
                OfferWithdrawnFrame(data=withdrawn_view(same[0], reason)),
            )

    def won(self, accepted: Accepted, offer_id: UUID) -> None:
        """Take the offer off every screen: the losers' and the winner's other devices."""
        own = Withdrawal(offer_id, accepted.mitra_id, accepted.request_id)
        self.withdrawn(accepted.withdrawn, "taken")
        self.withdrawn([own], "accepted")
        self._telling.chat_has_news()

    def ended(self, ended: Ended) -> None:
        """Tell both sides that a request ended without a match."""
        self.withdrawn(ended.withdrawn, ended.request.state)
        self.request(ended.request)
        self._telling.chat_has_news()

    def request(self, request: PairingRequest) -> None:
        """Tell the customer where a request without a mitra stands."""
        self._tell(request, None)

    async def reopened(self, request_id: UUID, *, customer_id: UUID) -> None:
        """Tell the customer, if her socket is here: every replica hears this."""
        if self._telling.holds(customer_id):
            await self.read_and_tell(request_id)

    async def read_and_tell(self, request_id: UUID) -> None:
        """Read where the request stands now and tell its customer; a hint, so it may fail."""
        try:
            request = await self._requests.request(request_id)
            if request is None:
                _log.warning("request_gone", pairing_request_id=request_id)
                return
            mitra_id = request.mitra_id
            mitra = None if mitra_id is None else await self._requests.mitra(mitra_id)
        except Unavailable as error:
            _log.warning("customer_not_told", pairing_request_id=request_id, reason=str(error))
            return
        self._tell(request, mitra)

    def beacon(self, beacon: Beacon) -> None:
        """Tell the customers of this replica; every replica hears the beacon itself."""
        self._telling.customers_here(BeaconFrame(data=beacon_view(beacon)))

    def _tell(self, request: PairingRequest, mitra: Mitra | None) -> None:
        frame = RequestFrame(data=request_view(request, mitra))
        self._telling.customer(request.customer_id, frame)
