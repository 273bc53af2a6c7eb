"""I7: each word of the provider counts once, and the ledger is what was captured."""

from collections.abc import Sequence
from typing import Any

from temani.demo.oracle.truth import Truth

PAID = frozenset({"paid", "refund_due", "refunded"})
CAPTURED = frozenset({"settlement", "refund", "partial_refund"})


async def balanced(truth: Truth, orders: Sequence[dict[str, Any]] | None) -> list[str]:
    """Find double credits and sums that differ; `orders` are the provider's own, if known."""
    found = [
        f"{row['provider']} {row['transaction_id']} {row['status']}: counted {row['times']} times"
        for row in await truth.rows("doubled_provider_events")
    ]
    found += [
        f"payment {row['id']} ({row['state']}, {row['amount_idr']} rupiah): the ledger has "
        f"{row['captured']} in {row['captures']} captures and {row['refunded']} back"
        for row in await truth.rows("unbalanced_payments")
    ]
    found += [
        f"session {row['session_id']} ({row['state']}) had paid time that nobody paid for"
        for row in await truth.rows("unpaid_talks")
    ]
    if orders is not None:
        found += _compare(await truth.rows("payments"), orders)
    return found


def _compare(payments: Sequence[Any], orders: Sequence[dict[str, Any]]) -> list[str]:
    known = {order["order_id"]: order for order in orders}
    found, captured, paid = [], 0, 0
    for row in payments:
        order = known.get(row["order_id"], {})
        is_captured = order.get("transaction_status") in CAPTURED
        is_paid = row["state"] in PAID
        captured += order["gross_amount"] if is_captured else 0
        paid += row["amount_idr"] if is_paid else 0
        if is_captured != is_paid:
            found.append(
                f"order {row['order_id']}: {order.get('transaction_status')} at the provider, "
                f"{row['state']} here"
            )
        back = row["refund_idr"] if row["state"] == "refunded" else 0
        if row["state"] == "refunded" and order.get("refunded") != back:
            found.append(f"order {row['order_id']}: {back} given back here, not at the provider")
    if captured != paid:
        found.append(f"the provider captured {captured} rupiah, {paid} are paid here")
    return found
