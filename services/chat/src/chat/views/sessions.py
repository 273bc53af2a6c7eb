"""Sessions, messages, extensions and payments as their parties see them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Sensitivity = Literal["normal", "sensitive"]
SessionState = Literal[
    "pending_payment", "active", "expired", "closing", "completed", "cancelled", "rerouted"
]
ExtensionState = Literal[
    "requested", "accepted", "paid", "applied", "declined", "timed_out", "refund_due", "refunded"
]
PaymentState = Literal["pending", "paid", "failed", "expired", "refund_due", "refunded"]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class View(BaseModel):
    """A frozen shape that refuses typos; readers ignore what they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wish(BaseModel):
    """A body that a client sends; what we do not know in it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TierView(View):
    """A price tier as frozen into a session or an extension."""

    tier_id: str
    version: int
    duration_seconds: int
    price_idr: int


class OfferedTierView(TierView):
    """A price tier that can be chosen now."""

    name: str


class TiersView(View):
    """The price tiers on offer, cheapest first."""

    tiers: list[OfferedTierView]


class CustomerView(View):
    """The customer of a session."""

    customer_id: UUID
    display_name: str


class MitraView(View):
    """The mitra of a session."""

    mitra_id: UUID
    display_name: str


class ExtensionView(View):
    """An extension; `answer_by` and `pay_by` are the deadlines of mitra and customer."""

    extension_id: UUID
    session_id: UUID
    state: ExtensionState
    tier: TierView
    sensitivity: Sensitivity
    requested_at: datetime
    answer_by: datetime
    pay_by: datetime | None
    resolved_at: datetime | None
    reason: str | None


class PaymentStateView(View):
    """How the money for a session stands."""

    state: PaymentState
    amount_idr: int
    refund_idr: int | None = None


class HorizonView(View):
    """How far a party has received and read."""

    delivered_seq: int
    read_seq: int


class SessionView(View):
    """A session; `role` is the reader's own."""

    session_id: UUID
    request_id: UUID
    state: SessionState
    role: Literal["customer", "mitra", "operator"]
    customer: CustomerView
    mitra: MitraView
    tier: TierView
    topic: str
    sensitivity: Sensitivity
    created_at: datetime
    pay_by: datetime | None
    activated_at: datetime | None
    ends_at: datetime | None
    expired_until: datetime | None
    closing_until: datetime | None
    completed_at: datetime | None
    ended_reason: str | None
    last_seq: int
    version: int
    customer_horizon: HorizonView
    mitra_horizon: HorizonView
    extension: ExtensionView | None
    payment: PaymentStateView | None


class MessageView(View):
    """A message; `seq` has no gaps within its session."""

    session_id: UUID
    seq: int
    message_id: UUID
    client_message_id: UUID
    sender_id: UUID
    sender_role: Literal["customer", "mitra"]
    kind: Literal["text", "goodbye"]
    text: str
    sent_at: datetime


class MessagesView(View):
    """Messages in order; `last_seq` tells whether there are more."""

    session_id: UUID
    messages: list[MessageView]
    last_seq: int


class PaymentView(View):
    """Where to pay and how it stands."""

    payment_id: UUID
    order_id: str
    redirect_url: str
    token: str
    amount_idr: int
    state: PaymentState
    expires_at: datetime


class MessageWish(Wish):
    """A message to send."""

    client_message_id: UUID
    text: Text


class ReadWish(Wish):
    """How far the reader has read; `delivered_seq` how far the app has received."""

    seq: Annotated[int, Field(ge=0)]


class TopicWish(Wish):
    """The sensitivity to raise to."""

    sensitivity: Sensitivity
    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class ExtensionWish(Wish):
    """More time, of this tier."""

    tier_id: Annotated[str, Field(min_length=1, max_length=32)]
