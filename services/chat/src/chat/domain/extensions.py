"""The extension: more paid time, asked by the customer, answered by the mitra, then paid."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from chat.domain.moves import OPEN_EXTENSION, ExtensionState, check_extension_move
from chat.domain.sessions import has_passed
from chat.domain.values import Limits, Sensitivity, Tier


@dataclass(frozen=True, slots=True)
class Extension:
    """A wish for more time and how far it got."""

    id: UUID
    session_id: UUID
    tier: Tier
    sensitivity: Sensitivity
    state: ExtensionState
    requested_at: datetime
    answer_by: datetime
    answered_at: datetime | None = None
    pay_by: datetime | None = None
    resolved_at: datetime | None = None
    resolved_reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still waits for something."""
        return self.state in OPEN_EXTENSION


def is_overdue(extension: Extension, now: datetime) -> bool:
    """Say whether the answer or the payment did not come in time."""
    return (extension.state == "requested" and has_passed(extension.answer_by, now)) or (
        extension.state == "accepted" and has_passed(extension.pay_by, now)
    )


def accept(extension: Extension, now: datetime, limits: Limits) -> Extension:
    """Note that the mitra agrees; the customer has the payment hold to pay."""
    check_extension_move(extension.state, "accepted")
    return replace(extension, state="accepted", answered_at=now, pay_by=now + limits.payment_hold)


def decline(extension: Extension, now: datetime, reason: str) -> Extension:
    """Note that the mitra does not agree, or that the session ended first."""
    check_extension_move(extension.state, "declined")
    return replace(
        extension,
        state="declined",
        answered_at=extension.answered_at or (now if reason == "declined" else None),
        resolved_at=now,
        resolved_reason=reason,
    )


def time_out(extension: Extension, now: datetime) -> Extension:
    """Note that the answer or the payment did not come in time."""
    check_extension_move(extension.state, "timed_out")
    reason = "unanswered" if extension.state == "requested" else "unpaid"
    return replace(extension, state="timed_out", resolved_at=now, resolved_reason=reason)


def pay(extension: Extension) -> Extension:
    """Note that the money has arrived."""
    check_extension_move(extension.state, "paid")
    return replace(extension, state="paid")


def apply(extension: Extension, now: datetime) -> Extension:
    """Note that the time was added to the session."""
    check_extension_move(extension.state, "applied")
    return replace(extension, state="applied", resolved_at=now, resolved_reason="applied")
