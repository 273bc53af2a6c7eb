"""Routes of both parties: sessions and what is said in them."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chat import errors
from chat.domain.messages import Draft
from chat.domain.values import Role
from chat.handlers import rendering
from chat.handlers.sessions import EVERY
from chat.http.keys import CONTROL_CENTER, MESSAGES, SESSIONS, note_presence
from chat.views.control import TranscriptQuery
from chat.views.sessions import (
    MessagesView,
    MessageView,
    MessageWish,
    ReadWish,
    SessionState,
    SessionView,
    TiersView,
    TopicWish,
)
from common.web import Context, Page, Routes

ROUTES = Routes(tag="sessions")
PARTIES = {"customer", "mitra"}
BASE = "/api/shared/chat/sessions"


class SessionsQuery(BaseModel):
    """Which of one's sessions; without a state all of them."""

    model_config = ConfigDict(frozen=True)

    state: list[SessionState] = []
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: UUID | None = None


def role_of(ctx: Context) -> Role:
    """Return the party that a caller of a shared route is."""
    return "customer" if ctx.caller.role == "customer" else "mitra"


@ROUTES.get("/api/customer/tiers", roles={"customer"}, tag="tiers")
async def list_tiers(ctx: Context) -> TiersView:
    """List the price tiers on offer, cheapest first."""
    return TiersView(tiers=await ctx.app[CONTROL_CENTER].offered_tiers())


@ROUTES.get(BASE, roles=PARTIES)
async def list_sessions(ctx: Context, query: SessionsQuery) -> Page[SessionView]:
    """List one's sessions, newest first."""
    note_presence(ctx)
    items = await ctx.app[SESSIONS].list_mine(
        ctx.caller.user_id,
        role_of(ctx),
        states=query.state or EVERY,
        before=query.cursor,
        limit=query.limit,
    )
    return page(items, query.limit)


@ROUTES.get(f"{BASE}/{{session_id}}", roles=PARTIES, raises=(errors.SessionNotFound,))
async def show_session(ctx: Context, session_id: UUID) -> SessionView:
    """Show one of one's sessions."""
    note_presence(ctx)
    return await ctx.app[SESSIONS].show(session_id, ctx.caller.user_id)


@ROUTES.get(f"{BASE}/{{session_id}}/messages", roles=PARTIES, raises=(errors.SessionNotFound,))
async def list_messages(ctx: Context, session_id: UUID, query: TranscriptQuery) -> MessagesView:
    """Return the messages after a cursor, in order."""
    note_presence(ctx)
    return await ctx.app[SESSIONS].transcript(
        session_id, ctx.caller.user_id, after_seq=query.after_seq, limit=query.limit
    )


@ROUTES.post(
    f"{BASE}/{{session_id}}/messages",
    roles=PARTIES,
    status=201,
    raises=(
        errors.SessionNotFound,
        errors.SessionNotActive,
        errors.SessionOver,
        errors.GoodbyeSaid,
        errors.GoodbyeTooLong,
        errors.MessageMismatch,
        errors.MessageEmpty,
    ),
)
async def send_message(ctx: Context, session_id: UUID, body: MessageWish) -> MessageView:
    """Send a message; sent again with the same id it is answered again, not stored again."""
    note_presence(ctx)
    draft = Draft(session_id, ctx.caller.user_id, body.client_message_id, body.text)
    return rendering.message_view(await ctx.app[MESSAGES].send(draft))


@ROUTES.post(f"{BASE}/{{session_id}}/read", roles=PARTIES, raises=(errors.SessionNotFound,))
async def read_session(ctx: Context, session_id: UUID, body: ReadWish) -> None:
    """Say how far one has read."""
    note_presence(ctx)
    await ctx.app[SESSIONS].move_horizon(
        session_id, ctx.caller.user_id, delivered=body.seq, read=body.seq
    )


@ROUTES.post(f"{BASE}/{{session_id}}/end", roles=PARTIES, raises=(errors.SessionNotFound,))
async def end_session(ctx: Context, session_id: UUID) -> SessionView:
    """Begin the goodbye phase; before the payment, give the session up."""
    note_presence(ctx)
    return await ctx.app[SESSIONS].end(session_id, ctx.caller.user_id)


@ROUTES.patch(
    f"{BASE}/{{session_id}}/topic",
    roles={"mitra", "operator"},
    raises=(errors.SessionNotFound, errors.SensitivityLatched),
)
async def raise_sensitivity(ctx: Context, session_id: UUID, body: TopicWish) -> SessionView:
    """Raise the topic's sensitivity; it never comes down."""
    note_presence(ctx)
    return await ctx.app[SESSIONS].raise_sensitivity(
        session_id,
        changed_by=ctx.caller.user_id,
        role=ctx.caller.role,
        sensitivity=body.sensitivity,
        reason=body.reason,
    )


def page(items: list[SessionView], limit: int) -> Page[SessionView]:
    """Return a page whose cursor is its last session."""
    cursor = str(items[-1].session_id) if len(items) == limit else None
    return Page[SessionView](items=items, next_cursor=cursor)
