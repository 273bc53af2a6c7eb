"""From rows to values."""

from typing import Any, TypeAlias

import asyncpg

from chat.domain.extensions import Extension
from chat.domain.facts import Held, Story
from chat.domain.messages import Horizon, Message
from chat.domain.payments import Payment
from chat.domain.sessions import Session
from chat.domain.values import Tier, TierVersion

Row: TypeAlias = asyncpg.Record


def session_of(row: Row) -> Session:
    """Return the session of a `read_stories` row."""
    return Session(
        id=row["id"],
        request_id=row["request_id"],
        customer_id=row["customer_id"],
        mitra_id=row["mitra_id"],
        state=row["state"],
        slot=row["slot"],
        tier=tier_of(row),
        topic=row["topic"],
        sensitivity=row["sensitivity"],
        created_at=row["created_at"],
        version=row["version"],
        open_extension_id=row["open_extension_id"],
        pay_by=row["pay_by"],
        activated_at=row["activated_at"],
        first_reply_at=row["first_reply_at"],
        ends_at=row["ends_at"],
        warn_at=row["warn_at"],
        show_up_by=row["show_up_by"],
        lost_by=row["lost_by"],
        expired_until=row["expired_until"],
        closing_until=row["closing_until"],
        completed_at=row["completed_at"],
        ended_reason=row["ended_reason"],
    )


def tier_of(row: Row, prefix: str = "") -> Tier:
    """Return the frozen tier of a session's or an extension's row."""
    return Tier(
        tier_id=row[prefix + "tier_id"],
        version=row[prefix + "tier_version"],
        duration_seconds=row[prefix + "duration_seconds"],
        price_idr=row[prefix + "price_idr"],
    )


def extension_of(row: Row, prefix: str = "") -> Extension:
    """Return the extension of a row; `prefix` where it stands beside a session."""
    return Extension(
        tier=tier_of(row, prefix),
        **{name: row[prefix + name] for name in _EXTENSION},
    )


def payment_of(row: Row, prefix: str = "") -> Payment:
    """Return the payment of a row; `prefix` where it stands beside a session."""
    return Payment(**{name: row[prefix + name] for name in _PAYMENT})


def story_of(row: Row) -> Story:
    """Return what is shown of a session."""
    return Story(
        session=session_of(row),
        now=row["read_at"],
        last_seq=row["last_seq"],
        customer=Horizon(row["customer_delivered_seq"], row["customer_read_seq"]),
        mitra=Horizon(row["mitra_delivered_seq"], row["mitra_read_seq"]),
        extension=_maybe_extension(row),
        payment=_maybe_payment(row, "p_"),
    )


def held_of(row: Row, now: Any) -> Held:
    """Return a locked session."""
    return Held(
        session=session_of(row),
        now=now,
        extension=_maybe_extension(row),
        payment=_maybe_payment(row, "p_"),
        extension_payment=_maybe_payment(row, "x_"),
        last_seq=row["last_seq"],
        customer=Horizon(row["customer_delivered_seq"], row["customer_read_seq"]),
        mitra=Horizon(row["mitra_delivered_seq"], row["mitra_read_seq"]),
    )


def message_of(row: Row) -> Message:
    """Return a stored message."""
    return Message(
        session_id=row["session_id"],
        seq=row["seq"],
        message_id=row["id"],
        client_message_id=row["client_message_id"],
        sender_id=row["sender_id"],
        sender_role=row["sender_role"],
        kind=row["kind"],
        text=row["body"],
        sent_at=row["sent_at"],
    )


def tier_version_of(row: Row) -> TierVersion:
    """Return one version of a tier."""
    return TierVersion(
        tier_id=row["tier_id"],
        version=row["version"],
        name=row["name"],
        duration_seconds=row["duration_seconds"],
        price_idr=row["price_idr"],
        is_offered=row["is_offered"],
    )


_EXTENSION = (
    "id", "session_id", "sensitivity", "state", "requested_at", "answer_by", "answered_at",
    "pay_by", "resolved_at", "resolved_reason",
)  # fmt: skip
_PAYMENT = (
    "id", "request_id", "session_id", "extension_id", "customer_id", "order_id", "amount_idr",
    "state", "created_at", "expires_at", "token", "redirect_url", "transaction_id", "paid_at",
    "check_at", "checks", "refund_idr", "refund_reason", "refund_at", "refund_tries", "refunded_at",
)  # fmt: skip


def _maybe_extension(row: Row) -> Extension | None:
    return extension_of(row, "e_") if row["e_id"] is not None else None


def _maybe_payment(row: Row, prefix: str) -> Payment | None:
    return payment_of(row, prefix) if row[prefix + "id"] is not None else None
