"""The legal moves, one table for each machine; the migrations hold the same (a test compares)."""

from collections.abc import Mapping
from typing import Literal

from chat import errors

SessionState = Literal[
    "pending_payment", "active", "expired", "closing", "completed", "cancelled", "rerouted"
]
ExtensionState = Literal[
    "requested", "accepted", "paid", "applied", "declined", "timed_out", "refund_due", "refunded"
]
PaymentState = Literal["pending", "paid", "failed", "expired", "refund_due", "refunded"]

SESSION_MOVES: Mapping[SessionState, frozenset[SessionState]] = {
    "pending_payment": frozenset({"active", "cancelled"}),
    "active": frozenset({"expired", "closing", "rerouted"}),
    "expired": frozenset({"active", "closing"}),
    "closing": frozenset({"completed"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
    "rerouted": frozenset(),
}
EXTENSION_MOVES: Mapping[ExtensionState, frozenset[ExtensionState]] = {
    "requested": frozenset({"accepted", "declined", "timed_out"}),
    "accepted": frozenset({"paid", "declined", "timed_out"}),
    "paid": frozenset({"applied", "refund_due"}),
    "applied": frozenset(),
    "declined": frozenset(),
    "timed_out": frozenset(),
    "refund_due": frozenset({"refunded"}),
    "refunded": frozenset(),
}
PAYMENT_MOVES: Mapping[PaymentState, frozenset[PaymentState]] = {
    "pending": frozenset({"paid", "failed", "expired"}),
    "paid": frozenset({"refund_due"}),
    "failed": frozenset({"paid"}),
    "expired": frozenset({"refund_due"}),
    "refund_due": frozenset({"refunded"}),
    "refunded": frozenset(),
}

LIVING: frozenset[SessionState] = frozenset({"pending_payment", "active", "expired", "closing"})
OPEN_EXTENSION: frozenset[ExtensionState] = frozenset({"requested", "accepted", "paid"})


def check_session_move(state: SessionState, to: SessionState) -> None:
    """Refuse a move that the table does not have."""
    if to not in SESSION_MOVES[state]:
        raise errors.IllegalMove("session", state=state, to=to)


def check_extension_move(state: ExtensionState, to: ExtensionState) -> None:
    """Refuse a move that the table does not have."""
    if to not in EXTENSION_MOVES[state]:
        raise errors.IllegalMove("extension", state=state, to=to)


def check_payment_move(state: PaymentState, to: PaymentState) -> None:
    """Refuse a move that the table does not have."""
    if to not in PAYMENT_MOVES[state]:
        raise errors.IllegalMove("payment", state=state, to=to)
