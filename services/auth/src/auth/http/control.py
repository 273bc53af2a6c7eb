"""Settings and audit, for operators."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from auth import errors
from auth.domain.otp import OtpPolicy
from auth.domain.passwords import LockoutPolicy
from auth.handlers.limits import Limits
from auth.http.shared import HANDLERS, actor_of, origin_of
from auth.ports import AuditRow
from auth.views import AuditView, LockoutLimits, OtpLimits, SettingsBody, SettingsView
from common.web import Context, Page, Routes

routes = Routes(tag="control")

_CONTROL = {"operator"}


class AuditQuery(BaseModel):
    """Which rows of the audit."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None
    subject_id: UUID | None = None
    action: Annotated[str, StringConstraints(max_length=41)] | None = None


@routes.get("/api/control/settings/auth", roles=_CONTROL)
async def read_settings(ctx: Context) -> SettingsView:
    """Show the limits of one-time codes and of wrong passwords."""
    return _settings(await ctx.app[HANDLERS].limits.read())


@routes.put("/api/control/settings/auth", roles=_CONTROL, raises=(errors.ConfigConflict,))
async def change_settings(ctx: Context, body: SettingsBody) -> SettingsView:
    """Replace the limits; they work at once, everywhere."""
    limits = Limits(
        otp=OtpPolicy(**body.otp.model_dump()),
        lockout=LockoutPolicy(**body.lockout.model_dump()),
        version=body.version,
    )
    changed = await ctx.app[HANDLERS].limits.change(
        limits, actor=actor_of(ctx), origin=origin_of(ctx)
    )
    return _settings(changed)


@routes.get("/api/control/audit", roles=_CONTROL)
async def read_audit(ctx: Context, query: AuditQuery) -> Page[AuditView]:
    """List what was done, newest first."""
    rows = await ctx.app[HANDLERS].housekeeping.audit(
        before=query.cursor,
        subject_id=query.subject_id,
        action=query.action,
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(
        items=[_row(row) for row in shown],
        next_cursor=str(shown[-1].audit_id) if more else None,
    )


def _settings(limits: Limits) -> SettingsView:
    return SettingsView(
        version=limits.version,
        otp=OtpLimits(**asdict(limits.otp)),
        lockout=LockoutLimits(**asdict(limits.lockout)),
        updated_at=limits.updated_at,
    )


def _row(row: AuditRow) -> AuditView:
    entry = row.entry
    return AuditView(
        audit_id=row.audit_id,
        at=row.at,
        action=entry.action,
        actor_role=entry.actor_role,
        actor_id=entry.actor_id,
        subject_id=entry.subject_id,
        login_id=entry.login_id,
        phone_masked=entry.phone_masked,
        address=entry.origin.address if entry.origin else None,
        user_agent=entry.origin.user_agent if entry.origin else None,
        request_id=entry.origin.request_id if entry.origin else None,
        detail=dict(entry.detail),
    )
