"""From values to what clients see."""

from dataclasses import asdict
from datetime import datetime

from pairing.domain import (
    Accepted,
    Beacon,
    Decision,
    Mitra,
    Offer,
    OfferRecord,
    PairingRequest,
    Stats,
    Tier,
    Withdrawal,
)
from pairing.views.shapes import (
    AcceptedView,
    BeaconView,
    ControlRequestView,
    DecisionView,
    MitraView,
    OfferRecordView,
    OfferView,
    OfferWithdrawnView,
    RequestView,
    StatsView,
    TierView,
)


def tier_view(tier: Tier) -> TierView:
    """Render a frozen tier."""
    return TierView(
        tier_id=tier.tier_id,
        version=tier.version,
        duration_seconds=tier.duration_seconds,
        price_idr=tier.price_idr,
    )


def request_view(request: PairingRequest, mitra: Mitra | None = None) -> RequestView:
    """Render a request for its customer."""
    return RequestView(
        request_id=request.id,
        state=request.state,
        tier=tier_view(request.tier),
        topic=request.topic,
        sensitivity=request.sensitivity,
        created_at=request.created_at,
        wait_until=request.wait_until,
        asked=request.asked,
        version=request.version,
        session_id=request.session_id,
        mitra=mitra and MitraView(mitra_id=mitra.mitra_id, display_name=mitra.display_name),
    )


def offer_view(offer: Offer) -> OfferView:
    """Render an offer for its mitra."""
    return OfferView(
        offer_id=offer.id,
        request_id=offer.request_id,
        state=offer.state,
        topic=offer.topic,
        sensitivity=offer.sensitivity,
        duration_seconds=offer.duration_seconds,
        price_idr=offer.price_idr,
        expires_at=offer.expires_at,
        created_at=offer.created_at,
    )


def withdrawn_view(withdrawal: Withdrawal, reason: str) -> OfferWithdrawnView:
    """Render an offer that is gone."""
    return OfferWithdrawnView(
        offer_id=withdrawal.offer_id, request_id=withdrawal.request_id, reason=reason
    )


def accepted_view(accepted: Accepted) -> AcceptedView:
    """Render a won request for its winner."""
    return AcceptedView(
        request_id=accepted.request_id,
        session_id=accepted.session_id,
        state=accepted.session_state,
    )


def beacon_view(beacon: Beacon) -> BeaconView:
    """Render the beacon."""
    return BeaconView(
        state=beacon.state,
        count=beacon.count,
        as_of=beacon.as_of,
        why=beacon.why,
        opens_at=beacon.opens_at,
    )


def control_view(request: PairingRequest) -> ControlRequestView:
    """Render a request for operators."""
    return ControlRequestView(
        request_id=request.id,
        customer_id=request.customer_id,
        state=request.state,
        tier=tier_view(request.tier),
        topic=request.topic,
        sensitivity=request.sensitivity,
        attempt=request.attempt,
        ring=request.ring,
        asked=request.asked,
        created_at=request.created_at,
        wait_until=request.wait_until,
        settled_at=request.settled_at,
        mitra_id=request.mitra_id,
        session_id=request.session_id,
    )


def offer_record_view(offer: OfferRecord) -> OfferRecordView:
    """Render an offer's history for operators."""
    return OfferRecordView(
        offer_id=offer.offer_id,
        attempt=offer.attempt,
        ring=offer.ring,
        mitra_id=offer.mitra_id,
        state=offer.state,
        reason=offer.reason,
        created_at=offer.created_at,
        expires_at=offer.expires_at,
        delivered_at=offer.delivered_at,
        seen_at=offer.seen_at,
        settled_at=offer.settled_at,
    )


def stats_view(stats: Stats, *, as_of: datetime) -> StatsView:
    """Render the last hour for operators."""
    return StatsView(**asdict(stats), as_of=as_of)


def decision_view(decision: Decision) -> DecisionView:
    """Render a decision for operators."""
    return DecisionView(
        attempt=decision.attempt,
        ring=decision.ring,
        mitra_id=decision.mitra_id,
        verdict=decision.verdict,
        load=decision.load,
        capacity=decision.capacity,
        decided_at=decision.decided_at,
    )
