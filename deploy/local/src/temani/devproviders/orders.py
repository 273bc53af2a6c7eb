"""Orders of the payment provider: what was asked, what the customer did, what was refunded."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

JAKARTA = timezone(timedelta(hours=7))  # this provider writes local times without an offset
# Status codes as the provider's notifications carry them.
STATUS_CODES = {
    "pending": "201",
    "settlement": "200",
    "deny": "202",
    "expire": "202",
    "refund": "200",
    "partial_refund": "200",
}


@dataclass(frozen=True)
class Order:
    """One order; no `transaction_status` means that its checkout was never opened."""

    order_id: str
    token: str
    transaction_id: str
    gross_amount: int
    item: str
    customer: str
    created_at: str
    notification_url: str
    finish_url: str | None = None
    transaction_status: str | None = None
    transaction_time: str | None = None
    settlement_time: str | None = None
    refunds: dict[str, int] = field(default_factory=dict)
    # The state that the shop has confirmed with 200; another one is still to be told.
    told: str | None = None

    @property
    def refunded(self) -> int:
        """Rupiah given back so far."""
        return sum(self.refunds.values())

    @property
    def open(self) -> bool:
        """Whether the customer can still act: a denied try may be repeated."""
        return self.transaction_status in {None, "pending", "deny"}


class Orders:
    """All orders, written to a small file at each change so that they survive a restart."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._orders: dict[str, Order] = {}
        if file is not None and file.exists():
            for values in json.loads(file.read_text()):
                self._orders[values["order_id"]] = Order(**values)

    def all(self) -> list[Order]:
        """Return every order, newest first."""
        return list(reversed(self._orders.values()))

    def get(self, order_id: str) -> Order | None:
        """Return an order by the shop's id or by the provider's transaction id."""
        if order_id in self._orders:
            return self._orders[order_id]
        found = [order for order in self._orders.values() if order.transaction_id == order_id]
        return found[0] if found else None

    def by_token(self, token: str) -> Order | None:
        """Return the order of a checkout page."""
        found = [order for order in self._orders.values() if order.token == token]
        return found[0] if found else None

    def save(self, order: Order) -> Order:
        """Keep a new state of an order."""
        self._orders[order.order_id] = order
        if self._file is not None:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps([asdict(kept) for kept in self._orders.values()]))
            fresh.rename(self._file)
        return order


def moved(order: Order, status: str) -> Order:
    """Return the order in its next state."""
    now = local_time()
    settled = now if status == "settlement" else order.settlement_time
    first = order.transaction_time or now
    return replace(
        order, transaction_status=status, transaction_time=first, settlement_time=settled
    )


def local_time() -> str:
    """Return the time now as this provider writes it."""
    return datetime.now(UTC).astimezone(JAKARTA).strftime("%Y-%m-%d %H:%M:%S")
