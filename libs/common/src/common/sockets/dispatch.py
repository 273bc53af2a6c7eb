"""One frame of a client: parsed, checked against the login's life, handled, answered."""

from collections.abc import Callable
from typing import Any, Final, Protocol

import asyncpg

from common.db import Unavailable
from common.log import get_logger
from common.revocation import LoginRevoked
from common.sockets import handshake
from common.sockets.connection import Connection
from common.sockets.frames import (
    AUTH,
    AuthMessage,
    AuthRefreshedData,
    AuthRefreshedFrame,
    ErrorData,
    ErrorFrame,
    Frame,
    FrameKind,
    Frames,
    InvalidFrame,
    parse_document,
    parse_envelope,
    validated,
)
from common.sockets.limits import CloseCode
from common.tokens import Caller, KeysUnavailable, Verifier
from common.web import problems

log = get_logger("socket")

_SHORT: Final = 64
# Spaces can be put in many places; whoever plays with them is parsed each time.
_MOST_PLAIN: Final = 64


class Checks(Protocol):
    """The part of revocations that a frame needs."""

    async def check(self, caller: Caller) -> None:
        """Raise when the login has ended."""

    def vouches_for(self, caller: Caller) -> bool:
        """Tell whether check() would pass without asking anybody."""


class Dispatcher:
    """Handles the frames of one endpoint; a bad frame costs an error frame, not the connection."""

    def __init__(self, *, frames: Frames, verifier: Verifier, revocations: Checks) -> None:
        self._frames = frames
        self._verifier = verifier
        self._revocations = revocations
        self._plain: dict[str, tuple[FrameKind, Any]] = {}

    async def handle(self, connection: Connection, text: str) -> None:
        """Handle one text of the client and queue the answer."""
        frame_id: str | None = None
        try:
            if (known := self._plain.get(text)) is None:
                document = parse_document(text)
                if document.get("type") == "auth":
                    await self._refresh(connection, validated(AUTH, document))
                    return
                envelope = parse_envelope(document)
                frame_id = envelope.id
                known = self._frames.parse(envelope, document)
                self._remember(text, frame_id, known)
            if not self._revocations.vouches_for(connection.caller):
                await self._revocations.check(connection.caller)
            kind, data = known
            answer = await kind.handler(connection, data, frame_id)
        except LoginRevoked:
            connection.close(CloseCode.REVOKED)
        except Exception as error:  # noqa: BLE001  # the edge: every error has its frame
            connection.send(error_frame(error, frame_id=frame_id))
        else:
            if answer is not None:
                connection.send(_with_id(answer, frame_id))

    def at_once(self, connection: Connection, text: str) -> Callable[[Connection], None] | None:
        """Return how to take a frame that handle() would take without asking anybody first."""
        known = self._plain.get(text)
        if known is None or not self._revocations.vouches_for(connection.caller):
            return None
        return known[0].at_once

    @staticmethod
    def take(connection: Connection, at_once: Callable[[Connection], None]) -> None:
        """Take a frame at once; its error has a frame as ever."""
        try:
            at_once(connection)
        except Exception as error:  # noqa: BLE001  # the edge: every error has its frame
            connection.send(error_frame(error, frame_id=None))

    def _remember(self, text: str, frame_id: str | None, known: tuple[FrameKind, Any]) -> None:
        """Keep what a frame means that says nothing but its kind, as beats do, letter by letter."""
        says_nothing = frame_id is None and not known[0].model.model_fields
        if says_nothing and len(text) <= _SHORT and len(self._plain) < _MOST_PLAIN:
            self._plain[text] = known

    async def _refresh(self, connection: Connection, auth: AuthMessage) -> None:
        caller = await self._verifier.verify(auth.token, once=True)
        if not handshake.same_login(connection.caller, caller):
            connection.close(CloseCode.REVOKED)
            return
        await self._revocations.check(caller)
        connection.caller = caller
        connection.warned = False
        data = AuthRefreshedData(expires_at=caller.expires_at.isoformat())
        connection.send(AuthRefreshedFrame(id=auth.id, data=data))


def error_frame(error: Exception, *, frame_id: str | None) -> ErrorFrame:
    """Tell the client why its frame was refused; what we did not expect loses its detail."""
    if isinstance(error, InvalidFrame):
        data = ErrorData(code=error.code, detail=str(error), errors=error.errors)
        return ErrorFrame(id=error.frame_id or frame_id, data=data)
    if isinstance(error, asyncpg.DataError):
        log.warning("value_reached_the_database", exc_info=error)
        error = problems.InvalidValue()
    code = getattr(type(error), "code", None)
    if not isinstance(code, str):
        log.error("frame_failed", exc_info=error)
        error = problems.Internal()
        code = error.code
    wait = None
    if isinstance(error, Unavailable | KeysUnavailable):
        wait = int(error.retry_after * 1000)
    detail = str(error) or problems.summary_of(type(error))
    return ErrorFrame(id=frame_id, data=ErrorData(code=code, detail=detail, retry_after_ms=wait))


def _with_id(frame: Frame | bytes, frame_id: str | None) -> Frame | bytes:
    if isinstance(frame, bytes) or frame.id is not None or frame_id is None:
        return frame
    return frame.model_copy(update={"id": frame_id})
