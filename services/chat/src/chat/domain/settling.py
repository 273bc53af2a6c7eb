"""What the provider's word about a payment does, after the session has caught up."""

from typing import Literal

from chat.domain.extensions import Extension
from chat.domain.payments import Payment, Verdict
from chat.domain.sessions import Session

Effect = Literal["nothing", "activate", "prolong", "owe", "fail", "expire", "give_back"]

_HAS_COME = ("paid", "refund_due", "refunded")


def effect_of(
    verdict: Verdict, payment: Payment, session: Session, extension: Extension | None
) -> Effect:
    """Decide, whatever the order, repetition or lateness of the word; nothing is resurrected."""
    if verdict == "refunded":
        return "give_back" if payment.state in ("paid", "refund_due") else "nothing"
    if verdict == "paid":
        return "nothing" if payment.state in _HAS_COME else _arrival(payment, session, extension)
    if verdict == "failed" and payment.state == "pending":
        return "fail"
    if verdict == "expired" and payment.state == "pending":
        return "expire"
    return "nothing"


def _arrival(payment: Payment, session: Session, extension: Extension | None) -> Effect:
    if payment.state == "expired":
        return "owe"
    if payment.extension_id is None:
        return "activate" if session.state == "pending_payment" else "owe"
    wanted = (
        extension is not None
        and extension.id == payment.extension_id
        and extension.state == "accepted"
    )
    return "prolong" if wanted else "owe"
