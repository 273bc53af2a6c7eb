"""The payment provider, open sockets, the mirror and the alarm."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from chat.domain.payments import ProviderWord


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a customer pays."""

    token: str
    redirect_url: str


class PaymentProvider(Protocol):
    """Who takes the money. Every call may raise PaymentUnavailable: the outcome is then unknown."""

    async def create(
        self, order_id: str, *, amount_idr: int, item: str, hold: timedelta
    ) -> Checkout:
        """Open a checkout page; OrderTaken when the order id is known already."""
        ...

    async def status(self, order_id: str) -> ProviderWord | None:
        """Return what the provider knows of an order; None when nobody has tried to pay it."""
        ...

    async def refund(
        self, order_id: str, *, refund_key: str, amount_idr: int, reason: str
    ) -> ProviderWord | None:
        """Give money back, once per key; None when the provider refuses to."""
        ...

    def read_notification(self, body: bytes) -> ProviderWord:
        """Check the signature of a notification and return what it says."""
        ...


class Realtime(Protocol):
    """Reaches a user's open sockets, on whichever replica they are; loses what nobody holds."""

    def tell(self, user_id: UUID, frame: bytes) -> None:
        """Send a frame; never waits, never raises."""
        ...


class Beats(Protocol):
    """Where a mitra's heartbeat goes."""

    async def beat(self, mitra_id: UUID) -> bool | None:
        """Note it; False tells that she is offline, None that nobody could say."""
        ...

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Note it and tell, when it is written, what beat() says."""
        ...


class Alarm(Protocol):
    """Wakes the ticker for a deadline that was just written."""

    def wake_at(self, seconds: float) -> None:
        """Look at the deadlines in this many seconds."""
        ...
