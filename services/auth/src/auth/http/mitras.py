"""Mitras, for operators."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from auth import errors
from auth.domain.people import Mitra, mask_phone
from auth.http.shared import HANDLERS, actor_of, origin_of
from auth.views import MitraBody, MitraSwitchBody, MitraView
from common.web import Context, Page, Routes

routes = Routes(tag="mitras")

_CONTROL = {"operator"}


class PageQuery(BaseModel):
    """A slice of a list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None


@routes.get("/api/control/mitras", roles=_CONTROL)
async def list_mitras(ctx: Context, query: PageQuery) -> Page[MitraView]:
    """List mitras, newest first."""
    found = await ctx.app[HANDLERS].mitras.list_mitras(after=query.cursor, limit=query.limit + 1)
    shown = found[: query.limit]
    more = len(found) > query.limit
    return Page(
        items=[_mitra(mitra) for mitra in shown],
        next_cursor=str(shown[-1].mitra_id) if more else None,
    )


@routes.post(
    "/api/control/mitras",
    roles=_CONTROL,
    status=201,
    raises=(errors.PhoneInvalid, errors.PhoneNotAllowed, errors.PhoneTaken),
)
async def create_mitra(ctx: Context, body: MitraBody) -> MitraView:
    """Make a mitra; her phone number is what she signs in with."""
    mitra = await ctx.app[HANDLERS].mitras.create(
        phone=body.phone,
        name=body.display_name,
        capacity=body.capacity,
        actor=actor_of(ctx),
        origin=origin_of(ctx),
    )
    return _mitra(mitra)


@routes.patch("/api/control/mitras/{mitra_id}", roles=_CONTROL, raises=(errors.MitraNotFound,))
async def switch_mitra(ctx: Context, mitra_id: UUID, body: MitraSwitchBody) -> MitraView:
    """Switch a mitra off, which ends all her logins at once, or on again."""
    mitra = await ctx.app[HANDLERS].mitras.switch(
        mitra_id,
        is_active=body.is_active,
        reason=body.reason,
        actor=actor_of(ctx),
        origin=origin_of(ctx),
    )
    return _mitra(mitra)


@routes.delete(
    "/api/control/mitras/{mitra_id}/logins", roles=_CONTROL, raises=(errors.MitraNotFound,)
)
async def end_mitra_logins(ctx: Context, mitra_id: UUID) -> None:
    """End all logins of a mitra without switching her off."""
    await ctx.app[HANDLERS].mitras.end_logins(mitra_id, actor=actor_of(ctx), origin=origin_of(ctx))


def _mitra(mitra: Mitra) -> MitraView:
    return MitraView(
        mitra_id=mitra.mitra_id,
        display_name=mitra.display_name,
        phone_masked=mask_phone(mitra.phone),
        is_active=mitra.is_active,
        version=mitra.version,
        created_at=mitra.created_at,
    )
