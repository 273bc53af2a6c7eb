"""What operators see and send."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chat.views.sessions import (
    ExtensionView,
    PaymentState,
    Sensitivity,
    SessionState,
    SessionView,
    View,
    Wish,
)


class PaymentRecordView(View):
    """One payment with what became of it."""

    payment_id: UUID
    extension_id: UUID | None
    order_id: str
    amount_idr: int
    state: PaymentState
    transaction_id: str | None
    created_at: datetime
    paid_at: datetime | None
    refund_idr: int | None
    refund_reason: str | None
    refund_tries: int
    refunded_at: datetime | None


class SensitivityChangeView(View):
    """Who raised the sensitivity."""

    changed_by: UUID
    role: Literal["customer", "mitra", "operator"]
    from_level: Sensitivity
    to_level: Sensitivity
    reason: str | None
    changed_at: datetime


class SessionRecordView(View):
    """A session with everything that belongs to it, except what was said."""

    session: SessionView
    slot: int | None
    first_reply_at: datetime | None
    extensions: list[ExtensionView]
    payments: list[PaymentRecordView]
    sensitivity_log: list[SensitivityChangeView]


class CapacityView(View):
    """How many sessions a mitra may hold and holds."""

    mitra_id: UUID
    capacity: int
    load: int
    version: int


class CapacityWish(Wish):
    """How many sessions she may hold from now on."""

    capacity: Annotated[int, Field(ge=1, le=20)]


class ReasonWish(Wish):
    """Why an operator steps in."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class TierVersionView(View):
    """One version of a price tier."""

    tier_id: str
    version: int
    name: str
    duration_seconds: int
    price_idr: int
    is_offered: bool


class TierVersionsView(View):
    """All versions of a price tier, newest first."""

    tier_id: str
    versions: list[TierVersionView]


class CurrentTiersView(View):
    """The current version of every price tier."""

    tiers: list[TierVersionView]


class TierWish(Wish):
    """The next version of a price tier; running sessions keep theirs."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    duration_seconds: Annotated[int, Field(ge=1, le=86400)]
    price_idr: Annotated[int, Field(ge=1, le=100_000_000)]
    is_offered: bool = True


class SearchQuery(BaseModel):
    """Which sessions an operator wants to see."""

    model_config = ConfigDict(frozen=True)

    state: SessionState | None = None
    topic: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    sensitivity: Sensitivity | None = None
    mitra_id: UUID | None = None
    customer_id: UUID | None = None
    created_from: AwareDatetime | None = None
    created_until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: UUID | None = None


class SessionCountView(View):
    """How many sessions of one state and sensitivity."""

    state: SessionState
    sensitivity: Sensitivity
    sessions: int


class RaisedCountView(View):
    """How often sensitivity was raised by one role."""

    role: Literal["customer", "mitra", "operator"]
    raised: int


class MoneyCountView(View):
    """Payments of one state: what was asked, and what goes or went back."""

    state: PaymentState
    payments: int
    amount_idr: int
    refund_idr: int


class StatisticsView(View):
    """Sessions, sensitivity and money of the last days."""

    days: int
    as_of: datetime
    sessions: list[SessionCountView]
    raised: list[RaisedCountView]
    money: list[MoneyCountView]


class MitraActivityView(View):
    """What a mitra did in the last days; `raised` is how often she raised a sensitivity."""

    mitra_id: UUID
    sessions: int
    completed: int
    rerouted: int
    sensitive: int
    raised: int


class MitraActivitiesView(View):
    """The activity of several mitras, in the order asked."""

    days: int
    mitras: list[MitraActivityView]


class StatisticsQuery(BaseModel):
    """How far to look back."""

    model_config = ConfigDict(frozen=True)

    days: Annotated[int, Field(ge=1, le=366)] = 7


class ActivityQuery(StatisticsQuery):
    """Whose activity."""

    mitra_id: Annotated[list[UUID], Field(min_length=1, max_length=100)]


class TranscriptQuery(BaseModel):
    """Which part of a transcript."""

    model_config = ConfigDict(frozen=True)

    after_seq: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 100
