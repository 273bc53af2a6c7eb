"""Routes of extensions and payments, and the provider's webhook."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chat import errors
from chat.http.keys import EXTENSIONS, PAYMENTS, note_presence
from chat.views.sessions import ExtensionView, ExtensionWish, PaymentView, View
from common.web import Context, Routes

ROUTES = Routes(tag="payments")
CUSTOMER = "/api/customer/chat/sessions/{session_id}"
MITRA = "/api/mitra/chat/sessions/{session_id}/extensions/{extension_id}"


class Notification(BaseModel):
    """What Midtrans tells of a transaction; there is more in it, which we do not use."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: str = Field(min_length=1, max_length=50)
    transaction_id: str = Field(max_length=100)
    transaction_status: str = Field(max_length=40)
    status_code: str = Field(max_length=3)
    gross_amount: str = Field(max_length=20)
    signature_key: str = Field(max_length=128)
    fraud_status: str | None = Field(default=None, max_length=20)


class NotedView(View):
    """The notification is applied and committed."""

    status: str = "ok"


@ROUTES.post(
    f"{CUSTOMER}/payment",
    roles={"customer"},
    raises=(errors.SessionNotFound, errors.PaymentSettled, errors.PaymentUnavailable),
)
async def pay_session(ctx: Context, session_id: UUID) -> PaymentView:
    """Return where to pay for a session; repeated it is the same place."""
    return await ctx.app[PAYMENTS].start(session_id, ctx.caller.user_id)


@ROUTES.post(
    f"{CUSTOMER}/extensions",
    roles={"customer"},
    status=201,
    tag="extensions",
    raises=(
        errors.SessionNotFound,
        errors.SessionNotActive,
        errors.SessionOver,
        errors.TierUnknown,
        errors.ExtensionOpen,
        errors.MitraFull,
    ),
)
async def ask_extension(ctx: Context, session_id: UUID, body: ExtensionWish) -> ExtensionView:
    """Ask for more time; asking the same again returns the open extension."""
    return await ctx.app[EXTENSIONS].ask(session_id, ctx.caller.user_id, body.tier_id)


@ROUTES.post(
    f"{CUSTOMER}/extensions/{{extension_id}}/payment",
    roles={"customer"},
    raises=(
        errors.SessionNotFound,
        errors.ExtensionNotFound,
        errors.ExtensionNotAccepted,
        errors.ExtensionResolved,
        errors.PaymentSettled,
        errors.PaymentUnavailable,
    ),
)
async def pay_extension(ctx: Context, session_id: UUID, extension_id: UUID) -> PaymentView:
    """Return where to pay for an accepted extension."""
    return await ctx.app[PAYMENTS].start(session_id, ctx.caller.user_id, extension_id)


@ROUTES.post(
    f"{MITRA}/accept",
    roles={"mitra"},
    tag="extensions",
    raises=(errors.SessionNotFound, errors.ExtensionNotFound, errors.ExtensionResolved),
)
async def accept_extension(ctx: Context, session_id: UUID, extension_id: UUID) -> ExtensionView:
    """Agree to more time; the customer then pays."""
    note_presence(ctx)
    return await ctx.app[EXTENSIONS].accept(session_id, extension_id, ctx.caller.user_id)


@ROUTES.post(
    f"{MITRA}/decline",
    roles={"mitra"},
    tag="extensions",
    raises=(errors.SessionNotFound, errors.ExtensionNotFound, errors.ExtensionResolved),
)
async def decline_extension(ctx: Context, session_id: UUID, extension_id: UUID) -> ExtensionView:
    """Refuse more time."""
    note_presence(ctx)
    return await ctx.app[EXTENSIONS].decline(session_id, extension_id, ctx.caller.user_id)


@ROUTES.post(
    "/api/payments/midtrans/notification",
    limit="read",
    raises=(errors.NotificationForged, errors.OrderUnknown, errors.AmountMismatch),
)
async def midtrans_notification(ctx: Context, body: Notification) -> NotedView:
    """Apply a signed notification of the provider; 200 means that it is committed."""
    del body  # its shape is checked; the signature is over the words as they were sent
    await ctx.app[PAYMENTS].notify(ctx.body)
    return NotedView()
