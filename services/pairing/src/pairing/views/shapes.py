"""The shapes of HTTP answers, which socket frames carry too."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

Sensitivity = Literal["normal", "sensitive"]


class View(BaseModel):
    """A frozen shape that refuses typos; readers ignore what they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TierView(View):
    """The price tier frozen into a request."""

    tier_id: str
    version: int
    duration_seconds: int
    price_idr: int


class MitraView(View):
    """Who accepted."""

    mitra_id: UUID
    display_name: str


class RequestView(View):
    """A request as its customer sees it; `asked` counts the mitras asked so far."""

    request_id: UUID
    state: Literal["searching", "matched", "expired", "cancelled"]
    tier: TierView
    topic: str
    sensitivity: Sensitivity
    created_at: datetime
    wait_until: datetime
    asked: int
    version: int
    session_id: UUID | None
    mitra: MitraView | None


class OfferView(View):
    """An offer as its mitra sees it."""

    offer_id: UUID
    request_id: UUID
    state: Literal["open", "accepted", "declined", "withdrawn", "expired"]
    topic: str
    sensitivity: Sensitivity
    duration_seconds: int
    price_idr: int
    expires_at: datetime
    created_at: datetime


class OffersView(View):
    """The open offers of one mitra."""

    offers: list[OfferView]


class AcceptedView(View):
    """The won request: its session and the state of that session."""

    request_id: UUID
    session_id: UUID
    state: str


class BeaconView(View):
    """What customers see: available, all_busy, none_online or disabled, and how many.

    While it is disabled: why (`switch` or `hours`), and when it opens, as far as that is known.
    """

    state: str
    count: int
    as_of: datetime | None
    why: str | None = None
    opens_at: datetime | None = None


class MitraStateView(View):
    """The first frame of a mitra's socket."""

    offers: list[OfferView]
    is_online: bool | None
    server_time: datetime


class CustomerStateView(View):
    """The first frame of a customer's socket."""

    request: RequestView | None
    beacon: BeaconView | None
    server_time: datetime


class OfferWithdrawnView(View):
    """An offer that is not open any more, and why."""

    offer_id: UUID
    request_id: UUID
    reason: str


class ControlRequestView(View):
    """A request as operators see it."""

    request_id: UUID
    customer_id: UUID
    state: Literal["searching", "matched", "expired", "cancelled"]
    tier: TierView
    topic: str
    sensitivity: Sensitivity
    attempt: int
    ring: int
    asked: int
    created_at: datetime
    wait_until: datetime
    settled_at: datetime | None
    mitra_id: UUID | None
    session_id: UUID | None


class OfferRecordView(View):
    """One offer with its whole history."""

    offer_id: UUID
    attempt: int
    ring: int
    mitra_id: UUID
    state: Literal["open", "accepted", "declined", "withdrawn", "expired"]
    reason: str | None
    created_at: datetime
    expires_at: datetime
    delivered_at: datetime | None
    seen_at: datetime | None
    settled_at: datetime | None


class DecisionView(View):
    """Why one mitra was in or out of one ring."""

    attempt: int
    ring: int
    mitra_id: UUID
    verdict: str
    load: int | None
    capacity: int | None
    decided_at: datetime


class StatsView(View):
    """How pairing did in the last hour; times in seconds, null without a case."""

    searching: int
    oldest_search_seconds: float | None
    matched: int
    expired: int
    cancelled: int
    wait_p50_seconds: float | None
    wait_p95_seconds: float | None
    offers: int
    accepted: int
    declined: int
    unanswered: int
    answer_p50_seconds: float | None
    as_of: datetime


class RequestRecordView(View):
    """A request with everyone who was considered for it."""

    request: ControlRequestView
    offers: list[OfferRecordView]
    decisions: list[DecisionView]
