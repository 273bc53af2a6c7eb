"""My logins, my name, signing out: for the apps and for the control center."""

from uuid import UUID

from auth import errors
from auth.domain.logins import Login
from auth.domain.people import Person
from auth.http.shared import HANDLERS, actor_of, origin_of
from auth.views import LoginsView, LoginView, LogoutBody, MeBody, UserView
from common.web import Context, Routes

routes = Routes(tag="logins")

_APP = {"customer", "mitra"}
_CONTROL = {"operator"}


@routes.post("/api/auth/logout", roles=_APP)
async def log_out(ctx: Context, body: LogoutBody | None = None) -> None:
    """Sign out here, everywhere else, or everywhere."""
    await _log_out(ctx, body)


@routes.post("/api/control/auth/logout", roles=_CONTROL)
async def log_out_operator(ctx: Context, body: LogoutBody | None = None) -> None:
    """Sign out of the control center here, everywhere else, or everywhere."""
    await _log_out(ctx, body)


@routes.get("/api/auth/logins", roles=_APP)
async def list_logins(ctx: Context) -> LoginsView:
    """List my logins, newest first."""
    return await _list(ctx)


@routes.get("/api/control/auth/logins", roles=_CONTROL)
async def list_operator_logins(ctx: Context) -> LoginsView:
    """List my control center logins, newest first."""
    return await _list(ctx)


@routes.delete("/api/auth/logins/{login_id}", roles=_APP, raises=(errors.LoginNotFound,))
async def end_login(ctx: Context, login_id: UUID) -> None:
    """End one of my logins."""
    await _end(ctx, login_id)


@routes.delete(
    "/api/control/auth/logins/{login_id}", roles=_CONTROL, raises=(errors.LoginNotFound,)
)
async def end_operator_login(ctx: Context, login_id: UUID) -> None:
    """End one of my control center logins."""
    await _end(ctx, login_id)


@routes.get("/api/auth/me", roles=_APP, raises=(errors.LoginEnded,))
async def me(ctx: Context) -> UserView:
    """Say who I am."""
    return _user(await _me(ctx))


@routes.get("/api/control/auth/me", roles=_CONTROL, raises=(errors.LoginEnded,))
async def operator_me(ctx: Context) -> UserView:
    """Say who I am."""
    return _user(await _me(ctx))


@routes.patch("/api/auth/me", roles=_APP, raises=(errors.LoginEnded,))
async def rename_me(ctx: Context, body: MeBody) -> UserView:
    """Change what I am called."""
    person = await ctx.app[HANDLERS].own_logins.rename(
        actor_of(ctx), role=ctx.caller.role, name=body.display_name, origin=origin_of(ctx)
    )
    return _user(person)


async def _log_out(ctx: Context, body: LogoutBody | None) -> None:
    scope = body.scope if body else "local"
    await ctx.app[HANDLERS].own_logins.log_out(
        actor_of(ctx), role=ctx.caller.role, scope=scope, origin=origin_of(ctx)
    )


async def _list(ctx: Context) -> LoginsView:
    caller = ctx.caller
    await ctx.app[HANDLERS].tokens.mark_seen(caller.login_id, caller.generation)
    logins = await ctx.app[HANDLERS].own_logins.list_logins(
        role=caller.role, user_id=caller.user_id
    )
    return LoginsView(logins=[_login(login, current=caller.login_id) for login in logins])


async def _end(ctx: Context, login_id: UUID) -> None:
    await ctx.app[HANDLERS].own_logins.end_login(
        actor_of(ctx), role=ctx.caller.role, login_id=login_id, origin=origin_of(ctx)
    )


async def _me(ctx: Context) -> Person:
    caller = ctx.caller
    await ctx.app[HANDLERS].tokens.mark_seen(caller.login_id, caller.generation)
    return await ctx.app[HANDLERS].own_logins.me(role=caller.role, user_id=caller.user_id)


def _user(person: Person) -> UserView:
    return UserView(user_id=person.user_id, role=person.role, display_name=person.display_name)


def _login(login: Login, *, current: UUID) -> LoginView:
    return LoginView(
        login_id=login.login_id,
        device_name=login.device_name,
        network=login.network,
        user_agent=login.user_agent,
        created_at=login.created_at,
        last_used_at=login.last_used_at,
        expires_at=login.expires_at,
        is_current=login.login_id == current,
    )
