"""Rings: whom to ask next, offers durable first, then hinted over the sockets."""

from uuid import UUID

from prometheus_client import Counter

from common.db import Unavailable
from common.log import get_logger
from pairing import errors
from pairing.handlers.announce import Announcer
from pairing.handlers.gate import ClaimGate
from pairing.ports import Alarm, Presence, RingStore
from pairing.settings import Settings

_log = get_logger("rings")

# The loop looks after a first ring that has not gone out by then.
_FIRST_RING_SECONDS = 1.0
_rings = Counter("pairing_rings_total", "Rings sent", ["outcome"])


class Rings:
    """Sends a ring of offers when one is due."""

    def __init__(
        self,
        *,
        store: RingStore,
        presence: Presence,
        gate: ClaimGate,
        announcer: Announcer,
        alarm: Alarm,
        settings: Settings,
    ) -> None:
        self._store = store
        self._presence = presence
        self._gate = gate
        self._announcer = announcer
        self._alarm = alarm
        self._settings = settings

    async def send(self, request_id: UUID) -> bool:
        """Ask the next mitras for this request, if its ring is due and nobody else sends it."""
        search = await self._store.search(request_id)
        if search is None:
            return False
        # Outside of any transaction: Valkey may be slow. Twice the ring, as some may hold too
        # many offers already.
        candidates = await self._candidates(search.exclude)
        blast = await self._store.place(search, candidates)
        if blast is None:
            return False
        _rings.labels("sent" if blast.offers else "empty").inc()
        if not blast.offers:
            self._alarm.within(self._settings.empty_ring_seconds)
            return True
        self._alarm.within(min(self._settings.ring_seconds, self._settings.offer_life_seconds))
        for offer in blast.offers:
            self._gate.remember(offer.id, offer.mitra_id, (blast.request_id, blast.attempt))
        self._announcer.blast(blast)
        _log.info(
            "ring_sent",
            pairing_request_id=request_id,
            ring=blast.ring,
            asked=len(blast.offers),
            considered=len(candidates),
        )
        await self._announcer.read_and_tell(request_id)
        return True

    async def send_first(self, request_id: UUID) -> None:
        """Send a new request's first ring; what cannot be done now is due in the row."""
        self._alarm.within(_FIRST_RING_SECONDS)
        try:
            await self.send(request_id)
        except Unavailable as error:
            _log.warning("first_ring_waits", pairing_request_id=request_id, reason=str(error))

    async def _candidates(self, exclude: frozenset[UUID]) -> list[UUID]:
        try:
            return await self._presence.find_available(
                limit=2 * self._settings.ring_size, exclude=exclude
            )
        except errors.PresenceUnavailable:
            # Nobody can say who is there: an empty ring, tried again soon.
            _log.warning("presence_unavailable")
            return []
