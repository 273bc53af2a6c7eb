"""Pairing over HTTP: parse, hand over, render; and which error has which status."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from common.idempotency import IdempotencyMismatch, body_hash
from common.web import Context, IdempotencyKey, Page, Routes
from pairing import domain, errors
from pairing.handlers import Offers, Requests
from pairing.views.shapes import (
    AcceptedView,
    ControlRequestView,
    OffersView,
    OfferView,
    RequestRecordView,
    RequestView,
    Sensitivity,
    StatsView,
)

REQUESTS: Final = web.AppKey("requests", Requests)
OFFERS: Final = web.AppKey("offers", Offers)

STATUS: Final[Mapping[type[Exception], int]] = {
    errors.RequestNotFound: 404,
    errors.RequestOpen: 409,
    errors.RequestSettled: 409,
    errors.ServiceClosed: 409,
    errors.TierUnknown: 422,
    errors.OfferNotFound: 404,
    errors.RequestTaken: 409,
    errors.OfferExpired: 410,
    errors.MitraFull: 409,
    errors.MitraInactive: 403,
    IdempotencyMismatch: 422,
}

customers = Routes(tag="requests")
mitras = Routes(tag="offers")
control = Routes(tag="control")
ROUTES: Final = (customers, mitras, control)

CUSTOMER: Final = {"customer"}
MITRA: Final = {"mitra"}
OPERATOR: Final = {"operator"}


class NewRequest(BaseModel):
    """What a customer asks for."""

    model_config = ConfigDict(extra="forbid")

    tier_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    topic: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    sensitivity: Sensitivity = "normal"


class RequestsQuery(BaseModel):
    """Which requests an operator looks for."""

    state: Annotated[str, StringConstraints(max_length=20)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None


@customers.post(
    "/api/customer/pairing",
    roles=CUSTOMER,
    status=201,
    raises=(errors.TierUnknown, errors.RequestOpen, errors.ServiceClosed, IdempotencyMismatch),
)
async def open_request(
    ctx: Context, body: NewRequest, idempotency_key: IdempotencyKey | None
) -> RequestView:
    """Ask to be paired now: the tier is frozen, and available mitras are asked at once."""
    wish = domain.Wish(
        customer_id=ctx.caller.user_id,
        tier_id=body.tier_id,
        topic=body.topic,
        sensitivity=body.sensitivity,
    )
    key = idempotency_key and domain.IdempotencyKey(idempotency_key, body_hash(ctx.body))
    return await ctx.app[REQUESTS].open(wish, key=key or None)


@customers.get(
    "/api/customer/pairing/{request_id}", roles=CUSTOMER, raises=(errors.RequestNotFound,)
)
async def get_request(ctx: Context, request_id: UUID) -> RequestView:
    """Where your request stands now."""
    return await ctx.app[REQUESTS].get(request_id, customer_id=ctx.caller.user_id)


@customers.delete(
    "/api/customer/pairing/{request_id}",
    roles=CUSTOMER,
    raises=(errors.RequestNotFound, errors.RequestSettled),
)
async def cancel_request(ctx: Context, request_id: UUID) -> RequestView:
    """Stop searching; everyone who was asked is free again at once."""
    return await ctx.app[REQUESTS].cancel(request_id, customer_id=ctx.caller.user_id)


@mitras.get("/api/mitra/offers", roles=MITRA)
async def open_offers(ctx: Context) -> OffersView:
    """Every offer you may accept at this moment."""
    return await ctx.app[OFFERS].open_offers(ctx.caller.user_id)


@mitras.post(
    "/api/mitra/offers/{offer_id}/accept",
    roles=MITRA,
    raises=(
        errors.OfferNotFound,
        errors.OfferExpired,
        errors.RequestTaken,
        errors.MitraFull,
        errors.MitraInactive,
    ),
)
async def accept_offer(ctx: Context, offer_id: UUID) -> AcceptedView:
    """Take the request: the first wins; asked again, the winner gets her session again."""
    return await ctx.app[OFFERS].accept(offer_id, mitra_id=ctx.caller.user_id)


@mitras.post(
    "/api/mitra/offers/{offer_id}/decline",
    roles=MITRA,
    raises=(errors.OfferNotFound, errors.OfferExpired, errors.RequestSettled),
)
async def decline_offer(ctx: Context, offer_id: UUID) -> OfferView:
    """Say no to an offer."""
    return await ctx.app[OFFERS].decline(offer_id, mitra_id=ctx.caller.user_id)


@mitras.post(
    "/api/mitra/offers/{offer_id}/seen", roles=MITRA, raises=(errors.OfferNotFound,), status=204
)
async def see_offer(ctx: Context, offer_id: UUID) -> None:
    """Say that you have looked at an offer."""
    await ctx.app[OFFERS].seen(offer_id, mitra_id=ctx.caller.user_id)


@control.get("/api/control/pairing/requests", roles=OPERATOR)
async def list_requests(ctx: Context, query: RequestsQuery) -> Page[ControlRequestView]:
    """All requests, newest first."""
    items = await ctx.app[REQUESTS].list(state=query.state, before=query.cursor, limit=query.limit)
    full = len(items) == query.limit
    return Page(items=items, next_cursor=str(items[-1].request_id) if full else None)


@control.get("/api/control/pairing/stats", roles=OPERATOR)
async def get_stats(ctx: Context) -> StatsView:
    """Searches now, and how the last hour went."""
    return await ctx.app[REQUESTS].stats()


@control.get(
    "/api/control/pairing/requests/{request_id}",
    roles=OPERATOR,
    raises=(errors.RequestNotFound,),
)
async def get_record(ctx: Context, request_id: UUID) -> RequestRecordView:
    """Show one request with everyone who was asked or considered, and why."""
    return await ctx.app[REQUESTS].record(request_id)
