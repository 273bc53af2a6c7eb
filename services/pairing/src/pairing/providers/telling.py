"""Frames to open sockets: our own at once, other replicas by one message over core NATS."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from common.bus import Bus
from common.log import get_logger
from common.realtime import Fanout
from common.sockets import Frame, Hub

_log = get_logger("telling")

OFFERS: Final = "rt.pairing.offers"
USERS: Final = "rt.pairing.user."

Ticket = tuple[UUID, int]


class SocketTelling:
    """Tells people wherever their sockets are."""

    def __init__(
        self,
        *,
        hub: Hub,
        fanout: Fanout,
        bus: Bus,
        remember: Callable[[UUID, UUID, Ticket], None],
    ) -> None:
        self._hub = hub
        self._fanout = fanout
        self._bus = bus
        self._remember = remember
        fanout.on_each(USERS + "*", self._deliver_to_user)
        fanout.on(OFFERS, self._deliver_offers)

    def customer(self, customer_id: UUID, frame: Frame) -> None:
        """Send a frame to every socket of one customer, in all replicas."""
        self._fanout.tell(f"{USERS}{customer_id}", frame.encode())

    def customers_here(self, frame: Frame) -> None:
        """Send a frame to every customer whose socket this replica holds."""
        encoded = frame.encode()
        for user_id in self._hub.users():
            for connection in self._hub.connections_of(user_id):
                if connection.caller.role == "customer":
                    connection.send(encoded)

    def mitras(
        self,
        whom: Sequence[tuple[UUID, UUID]],
        frame: Frame,
        *,
        ticket: Ticket | None = None,
    ) -> None:
        """Send a frame, with each one's own offer, to (mitra, offer) pairs: one message in all."""
        if not whom:
            return
        told = {
            "mitra_ids": [str(mitra_id) for mitra_id, _ in whom],
            "offer_ids": [str(offer_id) for _, offer_id in whom],
            "ticket": ticket and [str(ticket[0]), ticket[1]],
            "frame": orjson.Fragment(frame.encode()),
        }
        self._fanout.tell(OFFERS, orjson.dumps(told))

    def holds(self, user_id: UUID) -> bool:
        """Say whether this replica holds a socket of this user."""
        return self._hub.connected(user_id)

    def chat_has_news(self) -> None:
        """Hint to chat's relays that their outbox has a row."""
        self._bus.tell("hint.chat.outbox")

    def _deliver_to_user(self, subject: str, body: bytes) -> None:
        self._hub.send(UUID(subject.removeprefix(USERS)), body)

    def _deliver_offers(self, body: bytes) -> None:
        told = orjson.loads(body)
        ticket = _ticket(told.get("ticket"))
        frame = told["frame"]
        for mitra, offer in zip(told["mitra_ids"], told["offer_ids"], strict=True):
            mitra_id = UUID(mitra)
            if ticket is not None:
                self._remember(UUID(offer), mitra_id, ticket)
            if self._hub.connected(mitra_id):
                frame["data"]["offer_id"] = offer
                self._hub.send(mitra_id, orjson.dumps(frame))


def _ticket(told: Any) -> Ticket | None:
    return None if told is None else (UUID(told[0]), int(told[1]))
