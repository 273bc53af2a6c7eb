"""Signing in: one-time codes for customers and mitras, passwords for operators, renewing."""

import math

from auth import errors
from auth.domain.origin import device_key
from auth.handlers.otp import Asked, device_of
from auth.http.shared import HANDLERS, origin_of, show_tokens
from auth.views import (
    ChallengeView,
    JwksView,
    OtpRequestBody,
    OtpResendBody,
    OtpVerifyBody,
    PasswordBody,
    RefreshBody,
    TokensView,
)
from common.web import Context, IdempotencyKey, Reply, Routes

routes = Routes(tag="sign in")

_PHONE = (errors.PhoneInvalid, errors.PhoneNotAllowed)
_SENDING = (errors.ResendTooEarly, errors.TooManySends, errors.OtpUnavailable)
_REFRESHING = (
    errors.RefreshInvalid,
    errors.RefreshExpired,
    errors.RefreshReused,
    errors.LoginEnded,
)
# Verifiers keep keys this long, so a new key is published that much before it signs.
_JWKS_CACHE = "public, max-age=300"


@routes.post("/api/auth/otp/request", status=202, limit="sensitive", raises=(*_PHONE, *_SENDING))
async def request_otp(
    ctx: Context, body: OtpRequestBody, idempotency_key: IdempotencyKey | None
) -> ChallengeView:
    """Send a one-time code to a phone, if somebody may sign in with it."""
    asked = await ctx.app[HANDLERS].otp.request(
        phone=body.phone,
        role=body.role,
        channel=body.channel,
        device_key=device_key(body.device_id),
        idempotency_key=idempotency_key,
        origin=origin_of(ctx),
    )
    return _challenge(asked)


@routes.post(
    "/api/auth/otp/resend",
    status=202,
    limit="sensitive",
    raises=(errors.ChallengeExpired, *_SENDING),
)
async def resend_otp(ctx: Context, body: OtpResendBody) -> ChallengeView:
    """Send the code again; a challenge that has ended is replaced by a new one."""
    asked = await ctx.app[HANDLERS].otp.resend(
        challenge_id=body.challenge_id,
        channel=body.channel,
        device_key=device_key(body.device_id),
        origin=origin_of(ctx),
    )
    return _challenge(asked)


@routes.post(
    "/api/auth/otp/verify",
    limit="sensitive",
    raises=(
        *_PHONE,
        errors.CodeInvalid,
        errors.ChallengeExpired,
        errors.TooMany,
        errors.AccountInactive,
    ),
)
async def verify_otp(ctx: Context, body: OtpVerifyBody) -> TokensView:
    """Sign in with the code."""
    tokens = await ctx.app[HANDLERS].sign_in.verify(
        challenge_id=body.challenge_id,
        phone=body.phone,
        code=body.code,
        device=device_of(device_key(body.device_id), body.device_name),
        origin=origin_of(ctx),
    )
    return show_tokens(tokens)


@routes.post("/api/auth/refresh", limit="sensitive", raises=_REFRESHING)
async def refresh(ctx: Context, body: RefreshBody) -> TokensView:
    """Renew the tokens of an app; a repeated call gets the same refresh token again."""
    return await _refresh(ctx, body, audience="app")


@routes.post(
    "/api/control/auth/login",
    limit="sensitive",
    raises=(errors.CredentialsInvalid, errors.SignInBlocked, errors.PasswordsBusy),
)
async def sign_in_operator(ctx: Context, body: PasswordBody) -> TokensView:
    """Sign in to the control center."""
    tokens = await ctx.app[HANDLERS].operators.sign_in(
        email=body.email,
        password=body.password,
        device=device_of(device_key(body.device_id), body.device_name),
        origin=origin_of(ctx),
    )
    return show_tokens(tokens)


@routes.post("/api/control/auth/refresh", limit="sensitive", raises=_REFRESHING)
async def refresh_operator(ctx: Context, body: RefreshBody) -> TokensView:
    """Renew the tokens of the control center."""
    return await _refresh(ctx, body, audience="control")


@routes.get("/.well-known/jwks.json", tag="keys")
async def jwks(ctx: Context) -> Reply[JwksView]:
    """Publish the keys that access tokens are verified with."""
    keys = JwksView(keys=ctx.app[HANDLERS].jwks)
    return Reply(keys, headers={"Cache-Control": _JWKS_CACHE})


async def _refresh(ctx: Context, body: RefreshBody, *, audience: str) -> TokensView:
    tokens = await ctx.app[HANDLERS].tokens.refresh(
        body.refresh_token,
        audience=audience,
        device_key=device_key(body.device_id),
        origin=origin_of(ctx),
    )
    return show_tokens(tokens)


def _challenge(asked: Asked) -> ChallengeView:
    return ChallengeView(
        challenge_id=asked.challenge.challenge_id,
        expires_at=asked.challenge.expires_at,
        resend_after_seconds=max(0, math.ceil(asked.resend_after)),
        channel=asked.challenge.channel,
        code_length=6,
    )
