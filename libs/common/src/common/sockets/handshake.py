"""Before a socket is anybody's: where it comes from, that it is one, and who it is."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from common.db import Unavailable
from common.revocation import LoginRevoked
from common.sockets.frames import AUTH, AuthMessage, InvalidFrame, parse_document, validated
from common.sockets.limits import CloseCode
from common.tokens import Caller, KeysUnavailable, TokenInvalid
from common.web import problems
from common.web.binding import bearer

_TOKEN_NAMES: Final = frozenset({"token", "access_token", "jwt", "auth", "authorization", "bearer"})


_SIGNS: Final = frozenset({WSMsgType.PING, WSMsgType.PONG})


class TokenInUrl(problems.Problem):
    """Tokens do not belong into addresses: send the first message or the Authorization header."""

    status, code = 400, "token_in_url"


class HandshakeBody(problems.Problem):
    """A WebSocket handshake has no body."""

    status, code = 400, "handshake_body"


class Refused(Exception):
    """The socket is refused after the handshake, with a close code."""

    def __init__(self, close_code: int) -> None:
        super().__init__(str(close_code))
        self.close_code = close_code


# What a token may legitimately cause; anything else is a fault of ours.
EXPECTED: Final = (
    Refused,
    TokenInvalid,
    LoginRevoked,
    problems.Forbidden,
    KeysUnavailable,
    Unavailable,
)


def check_request(request: web.Request, *, allowed_origins: Collection[str]) -> None:
    """Refuse what must not become a socket, as a problem document."""
    for name, value in request.query.items():
        if name.lower() in _TOKEN_NAMES or (value.count(".") == 2 and value.startswith("eyJ")):
            raise TokenInUrl
    if not web.WebSocketResponse().can_prepare(request):
        raise problems.UpgradeRequired(headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    if request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers:
        raise HandshakeBody
    if not _origin_allowed(request, allowed_origins):
        raise problems.Forbidden("This origin may not open sockets here.")


def _origin_allowed(request: web.Request, allowed_origins: Collection[str]) -> bool:
    origins = request.headers.getall("Origin", [])
    if not origins:
        return True  # not a browser: nobody's cookies or pages are at stake
    if len(origins) > 1:
        return False
    if allowed_origins:
        allowed = {item.rstrip("/").lower() for item in allowed_origins}
        return origins[0].rstrip("/").lower() in allowed
    try:
        return urlsplit(origins[0]).netloc.lower() == (request.host or "").lower()
    except ValueError:
        return False


def header_token(request: web.Request) -> str | None:
    """Return the token of the Authorization header; a header without a usable one is refused."""
    if "Authorization" not in request.headers:
        return None
    token = bearer(request)
    if token is None:
        raise problems.Unauthenticated
    return token


async def pong(websocket: web.WebSocketResponse, data: bytes) -> None:
    """Answer a ping; whoever is gone needs no answer."""
    with contextlib.suppress(ConnectionError):
        await websocket.pong(data)


async def first_message(
    websocket: web.WebSocketResponse, *, seconds: float, most: int
) -> AuthMessage:
    """Wait for the `auth` message; raises Refused when it does not come or is something else."""
    try:
        async with asyncio.timeout(seconds):
            while (message := await websocket.receive()).type in _SIGNS:
                if message.type is WSMsgType.PING:
                    await pong(websocket, message.data)
    except TimeoutError:
        raise Refused(CloseCode.AUTH_TIMEOUT) from None
    if message.type is WSMsgType.BINARY:
        raise Refused(CloseCode.UNSUPPORTED)
    if message.type is not WSMsgType.TEXT:
        raise ConnectionResetError
    if len(message.data.encode()) > most:
        raise Refused(CloseCode.TOO_BIG)
    try:
        auth: AuthMessage = validated(AUTH, parse_document(message.data))
    except InvalidFrame:
        raise Refused(CloseCode.POLICY) from None
    return auth


def close_code_of(error: Exception) -> int:
    """Return the close code for a token that was not accepted."""
    if isinstance(error, Refused):
        return error.close_code
    if isinstance(error, TokenInvalid):
        return CloseCode.EXPIRED
    if isinstance(error, LoginRevoked | problems.Forbidden):
        return CloseCode.REVOKED
    if isinstance(error, KeysUnavailable | Unavailable):
        return CloseCode.TRY_AGAIN
    return CloseCode.INTERNAL


def same_login(old: Caller, new: Caller) -> bool:
    """Tell whether a fresh token belongs to the connection it is brought to."""
    return (old.user_id, old.login_id, old.role) == (new.user_id, new.login_id, new.role)
