"""What the routes share: the handlers, and how requests and tokens translate."""

import math
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from auth.domain.origin import Actor, Origin
from auth.handlers.housekeeping import HousekeepingHandlers
from auth.handlers.issuing import Tokens
from auth.handlers.limits import LimitsHandlers
from auth.handlers.mitras import MitraHandlers
from auth.handlers.operators import OperatorHandlers
from auth.handlers.otp import OtpHandlers
from auth.handlers.own_logins import OwnLoginsHandlers
from auth.handlers.signing_in import SignInHandlers
from auth.handlers.tokens import TokenHandlers
from auth.views import TokensView, UserView
from common.web import Context


@dataclass(frozen=True, slots=True)
class Handlers:
    """Everything that routes may call."""

    otp: OtpHandlers
    sign_in: SignInHandlers
    tokens: TokenHandlers
    own_logins: OwnLoginsHandlers
    operators: OperatorHandlers
    mitras: MitraHandlers
    limits: LimitsHandlers
    housekeeping: HousekeepingHandlers
    jwks: list[dict[str, str]]


HANDLERS: Final = web.AppKey("handlers", Handlers)


def origin_of(ctx: Context) -> Origin:
    """Return where a request came from."""
    return Origin.of(
        address=ctx.client_ip,
        user_agent=ctx.request.headers.get("User-Agent", ""),
        request_id=ctx.request_id,
    )


def actor_of(ctx: Context) -> Actor:
    """Return who asks."""
    return Actor(ctx.caller.user_id, ctx.caller.role, ctx.caller.login_id)


def show_tokens(tokens: Tokens) -> TokensView:
    """Render tokens; clients count from the answer's arrival, so a wrong clock does no harm."""
    return TokensView(
        access_token=tokens.access_token,
        expires_in=_seconds((tokens.access_expires_at - tokens.now).total_seconds()),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=_seconds((tokens.refresh_expires_at - tokens.now).total_seconds()),
        server_time=tokens.now,
        user=UserView(
            user_id=tokens.person.user_id,
            role=tokens.person.role,
            display_name=tokens.person.display_name,
        ),
    )


def _seconds(seconds: float) -> int:
    return max(0, math.floor(seconds))
