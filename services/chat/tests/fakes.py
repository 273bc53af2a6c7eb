"""Small stand-ins for the outside: a provider, open sockets, an alarm, the mirror's beats."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from chat import errors
from chat.domain.payments import ProviderWord, Verdict
from chat.ports import Checkout


class FakeProvider:
    """A payment provider that does what the test says; proven against Midtrans' wire elsewhere."""

    def __init__(self) -> None:
        self.orders: dict[str, int] = {}
        self.words: dict[str, ProviderWord] = {}
        self.refunds: dict[str, int] = {}
        self.is_away = False
        self.refuses = False
        self.creations = 0
        self.taken: set[str] = set()

    async def create(
        self, order_id: str, *, amount_idr: int, item: str, hold: timedelta
    ) -> Checkout:
        """Open a checkout page."""
        self._reach()
        self.creations += 1
        if order_id in self.taken:
            raise errors.OrderTaken
        self.orders[order_id] = amount_idr
        return Checkout(f"token-{order_id}", f"http://pay.example/{item}/{order_id}")

    async def status(self, order_id: str) -> ProviderWord | None:
        """Return what was said last."""
        self._reach()
        return self.words.get(order_id)

    async def refund(
        self, order_id: str, *, refund_key: str, amount_idr: int, reason: str
    ) -> ProviderWord | None:
        """Give back once per key."""
        self._reach()
        if self.refuses:
            return None
        self.refunds[refund_key] = amount_idr
        return self.word(order_id, "refunded", status=f"refund-{reason}"[:40])

    def read_notification(self, body: bytes) -> ProviderWord:
        """Read what the test wrote."""
        said = json.loads(body)
        return self.word(said["order_id"], said["verdict"])

    def word(
        self, order_id: str, verdict: Verdict, *, status: str = "", transaction: str = ""
    ) -> ProviderWord:
        """Make (and remember) a word about an order."""
        word = ProviderWord(
            order_id=order_id,
            transaction_id=transaction or f"t-{order_id}",
            status=status or verdict,
            verdict=verdict,
            amount_idr=self.orders.get(order_id, 1),
        )
        self.words[order_id] = word
        return word

    def _reach(self) -> None:
        if self.is_away:
            raise errors.PaymentUnavailable


class FakeRealtime:
    """Keeps what every user was told."""

    def __init__(self) -> None:
        self.told: list[tuple[UUID, dict[str, Any]]] = []

    def tell(self, user_id: UUID, frame: bytes) -> None:
        """Note a frame."""
        self.told.append((user_id, json.loads(frame)))

    def of(self, user_id: UUID, kind: str) -> list[dict[str, Any]]:
        """Return the data of the frames of one kind that a user was told."""
        return [
            frame["data"] for who, frame in self.told if who == user_id and frame["type"] == kind
        ]


class FakeAlarm:
    """Keeps when it was asked to ring."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def wake_at(self, seconds: float) -> None:
        """Note a wake-up."""
        self.asked.append(seconds)


class FakeBeats:
    """Keeps who beat."""

    def __init__(self, answer: bool | None = True) -> None:  # noqa: FBT001, FBT002 - the one thing it says
        self.answer = answer
        self.beats: list[UUID] = []

    async def beat(self, mitra_id: UUID) -> bool | None:
        """Note a beat."""
        self.beats.append(mitra_id)
        return self.answer

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Note a beat and tell at once."""
        self.beats.append(mitra_id)
        tell(self.answer)
