"""From values to views."""

from chat.domain.extensions import Extension
from chat.domain.messages import Message
from chat.domain.payments import Payment
from chat.domain.values import Capacity, SensitivityChange, Tier, TierVersion
from chat.views import control as control_views
from chat.views import sessions as views


def tier_view(tier: Tier) -> views.TierView:
    """Render a frozen tier."""
    return views.TierView(
        tier_id=tier.tier_id,
        version=tier.version,
        duration_seconds=tier.duration_seconds,
        price_idr=tier.price_idr,
    )


def offered_tier_view(tier: TierVersion) -> views.OfferedTierView:
    """Render a tier that customers may choose."""
    return views.OfferedTierView(
        tier_id=tier.tier_id,
        version=tier.version,
        name=tier.name,
        duration_seconds=tier.duration_seconds,
        price_idr=tier.price_idr,
    )


def tier_version_view(tier: TierVersion) -> control_views.TierVersionView:
    """Render a version of a tier for operators."""
    return control_views.TierVersionView(
        tier_id=tier.tier_id,
        version=tier.version,
        name=tier.name,
        duration_seconds=tier.duration_seconds,
        price_idr=tier.price_idr,
        is_offered=tier.is_offered,
    )


def extension_view(extension: Extension) -> views.ExtensionView:
    """Render an extension."""
    return views.ExtensionView(
        extension_id=extension.id,
        session_id=extension.session_id,
        state=extension.state,
        tier=tier_view(extension.tier),
        sensitivity=extension.sensitivity,
        requested_at=extension.requested_at,
        answer_by=extension.answer_by,
        pay_by=extension.pay_by,
        resolved_at=extension.resolved_at,
        reason=extension.resolved_reason,
    )


def message_view(message: Message) -> views.MessageView:
    """Render a message."""
    return views.MessageView(
        session_id=message.session_id,
        seq=message.seq,
        message_id=message.message_id,
        client_message_id=message.client_message_id,
        sender_id=message.sender_id,
        sender_role=message.sender_role,
        kind=message.kind,
        text=message.text,
        sent_at=message.sent_at,
    )


def payment_view(payment: Payment) -> views.PaymentView:
    """Render a payment with where to pay it."""
    return views.PaymentView(
        payment_id=payment.id,
        order_id=payment.order_id,
        redirect_url=payment.redirect_url or "",
        token=payment.token or "",
        amount_idr=payment.amount_idr,
        state=payment.state,
        expires_at=payment.expires_at,
    )


def payment_record_view(payment: Payment) -> control_views.PaymentRecordView:
    """Render a payment for operators."""
    return control_views.PaymentRecordView(
        payment_id=payment.id,
        extension_id=payment.extension_id,
        order_id=payment.order_id,
        amount_idr=payment.amount_idr,
        state=payment.state,
        transaction_id=payment.transaction_id,
        created_at=payment.created_at,
        paid_at=payment.paid_at,
        refund_idr=payment.refund_idr,
        refund_reason=payment.refund_reason,
        refund_tries=payment.refund_tries,
        refunded_at=payment.refunded_at,
    )


def sensitivity_change_view(change: SensitivityChange) -> control_views.SensitivityChangeView:
    """Render a row of the sensitivity log."""
    return control_views.SensitivityChangeView.model_validate(change, from_attributes=True)


def capacity_view(capacity: Capacity) -> control_views.CapacityView:
    """Render a mitra's capacity and load."""
    return control_views.CapacityView.model_validate(capacity, from_attributes=True)
