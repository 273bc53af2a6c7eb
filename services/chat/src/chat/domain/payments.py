"""The payment: what a provider's word makes of it, and what goes back to the customer."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from chat.domain.moves import PaymentState, check_payment_move

Verdict = Literal["pending", "paid", "failed", "expired", "refunded"]

# How often to ask the provider about a payment it has not spoken of: soon, then ever more rarely.
FIRST_CHECK = timedelta(seconds=5)
_LAST_CHECK = timedelta(minutes=5)
_CHECKED_FOR = timedelta(hours=24)
_FIRST_REFUND_RETRY = timedelta(seconds=5)
_LAST_REFUND_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Payment:
    """Money asked for a request or for an extension; one order at the provider."""

    id: UUID
    request_id: UUID
    session_id: UUID
    extension_id: UUID | None
    customer_id: UUID
    order_id: str
    amount_idr: int
    state: PaymentState
    created_at: datetime
    expires_at: datetime
    token: str | None = None
    redirect_url: str | None = None
    transaction_id: str | None = None
    paid_at: datetime | None = None
    check_at: datetime | None = None
    checks: int = 0
    refund_idr: int | None = None
    refund_reason: str | None = None
    refund_at: datetime | None = None
    refund_tries: int = 0
    refunded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProviderWord:
    """What the provider says of an order, by notification or when asked."""

    order_id: str
    transaction_id: str
    status: str
    verdict: Verdict
    amount_idr: int
    # What has gone back so far, where the provider says it.
    refunded_idr: int | None = None


@dataclass(frozen=True, slots=True)
class PaidPart:
    """A payment and the time it bought, for the reckoning of what is unused."""

    payment: Payment
    duration_seconds: int


def settle(payment: Payment, to: PaymentState, now: datetime) -> Payment:
    """Move a payment on; paid ones need no more asking."""
    check_payment_move(payment.state, to)
    moved = replace(payment, state=to)
    if to == "paid":
        return replace(moved, paid_at=now, check_at=None)
    return moved


def owe(payment: Payment, amount_idr: int, reason: str, now: datetime) -> Payment:
    """Owe (a part of) it to the customer; a job gives it back."""
    check_payment_move(payment.state, "refund_due")
    return replace(
        payment,
        state="refund_due",
        paid_at=payment.paid_at or now,
        check_at=None,
        refund_idr=amount_idr,
        refund_reason=reason,
        refund_at=now,
    )


def refunded(payment: Payment, now: datetime) -> Payment:
    """Note that the provider has given it back."""
    check_payment_move(payment.state, "refunded")
    return replace(payment, state="refunded", refunded_at=now, check_at=None)


def next_check(payment: Payment, now: datetime) -> datetime | None:
    """Return when to ask the provider again; None once there is nothing left to learn."""
    if payment.state not in ("pending", "failed", "expired"):
        return None
    if now - payment.created_at > _CHECKED_FOR:
        return None
    return now + min(FIRST_CHECK * 1.5 ** min(payment.checks, 20), _LAST_CHECK)


def next_refund_try(payment: Payment, now: datetime) -> datetime:
    """Return when to ask the provider for the refund again, if this try fails."""
    wait = _FIRST_REFUND_RETRY * float(2 ** min(payment.refund_tries, 10))
    return now + min(wait, _LAST_REFUND_RETRY)


def unused_refunds(parts: Iterable[PaidPart], unused: timedelta) -> list[tuple[Payment, int]]:
    """Divide unused time over what was paid, newest first; each part in full rupiah, rounded up."""
    left = unused.total_seconds()
    refunds = []
    for part in sorted(parts, key=lambda part: part.payment.created_at, reverse=True):
        seconds = min(left, part.duration_seconds)
        if seconds <= 0:
            break
        amount = math.ceil(part.payment.amount_idr * seconds / part.duration_seconds)
        refunds.append((part.payment, min(amount, part.payment.amount_idr)))
        left -= seconds
    return refunds
