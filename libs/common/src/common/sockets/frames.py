"""What goes over a socket: `{"type", "id", "data"}`, each type with its own model."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar, Union

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from common.web import problems
from common.web.binding import holds_nul, parse_json, settle

if TYPE_CHECKING:
    from common.sockets.connection import Connection

D = TypeVar("D", bound=BaseModel)
# Bytes are a frame that was rendered before; it names no `id`.
Answer = Union["Frame", bytes, None]
FrameHandler = Callable[["Connection", D, str | None], Awaitable[Answer]]

LONGEST_ID: Final = 64


class Frame(BaseModel):
    """Something to send; subclasses fix `type` to a literal and `data` to a model."""

    model_config = ConfigDict(frozen=True)

    type: str
    id: str | None = None
    data: Any = Field(default_factory=dict)

    def encode(self) -> bytes:
        """Render the frame once, for however many connections."""
        return self.model_dump_json(by_alias=True).encode()


class ErrorData(BaseModel):
    """Why a frame was refused; `code` is stable."""

    code: str
    detail: str
    errors: list[problems.FieldProblem] = []
    retry_after_ms: int | None = None


class ErrorFrame(Frame):
    """The answer to a frame that was refused; the connection stays."""

    type: Literal["error"] = "error"
    data: ErrorData


class TokenExpiringData(BaseModel):
    """When the token ends: send `auth` with a fresh one before."""

    expires_at: str


class TokenExpiringFrame(Frame):
    """Sent 60 seconds before the token of the connection ends."""

    type: Literal["token_expiring"] = "token_expiring"
    data: TokenExpiringData


class AuthRefreshedData(BaseModel):
    """The new end of the connection's token."""

    expires_at: str


class AuthRefreshedFrame(Frame):
    """The answer to a later `auth`: the connection lives on with the new token."""

    type: Literal["auth_refreshed"] = "auth_refreshed"
    data: AuthRefreshedData


class RestartData(BaseModel):
    """How long to wait before connecting again, so that not all come at once."""

    retry_after_ms: int


class RestartFrame(Frame):
    """This replica goes away; connect again after the wait."""

    type: Literal["restart"] = "restart"
    data: RestartData


class AuthMessage(BaseModel):
    """The first message of a client, and later the way to bring a fresh token."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["auth"]
    token: str = Field(min_length=1, max_length=4096)
    id: str | None = Field(default=None, max_length=LONGEST_ID)
    cursor: dict[str, int] | None = Field(default=None, max_length=100)


class Envelope(BaseModel):
    """What every frame of a client has in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(min_length=1, max_length=64)
    id: str | None = Field(default=None, max_length=LONGEST_ID)


class InvalidFrame(Exception):
    """The frame is not of the documented shape."""

    code: ClassVar[str] = "invalid_frame"

    def __init__(
        self, detail: str = "", *, frame_id: str | None = None, error: ValidationError | None = None
    ) -> None:
        super().__init__(detail or problems.summary_of(type(self)))
        self.frame_id = frame_id
        self.errors = problems.field_problems(error) if error else []


class UnknownFrame(InvalidFrame):
    """This kind of frame is not known here."""

    code: ClassVar[str] = "unknown_frame"


@dataclass(frozen=True, slots=True)
class FrameKind:
    """One kind of frame that a client may send."""

    name: str
    model: type[BaseModel]
    adapter: TypeAdapter[Any]
    handler: Callable[..., Awaitable[Answer]]
    at_once: Callable[["Connection"], None] | None = None


class Frames:
    """The kinds of frames that a socket accepts, with their handlers."""

    def __init__(self) -> None:
        self._kinds: dict[str, FrameKind] = {}

    def on(self, kind: str, model: type[D]) -> Callable[[FrameHandler[D]], FrameHandler[D]]:
        """Declare the handler of a kind: `async def(connection, data, frame_id)`, maybe a Frame."""
        if kind == "auth" or kind in self._kinds:
            raise ValueError(f"frame {kind} is taken")

        def declare(handler: FrameHandler[D]) -> FrameHandler[D]:
            self._kinds[kind] = FrameKind(
                name=kind, model=model, adapter=TypeAdapter(model), handler=handler
            )
            return handler

        return declare

    def at_once(self, kind: str, handler: Callable[["Connection"], None]) -> None:
        """Declare how to take a frame of a kind without fields when it comes without an id.

        It does what the kind's handler does, without a task: it answers by itself, later.
        """
        known = self._kinds[kind]
        if known.model.model_fields:
            raise TypeError(f"frame {kind} has fields: it needs a handler that waits for them")
        self._kinds[kind] = replace(known, at_once=handler)

    def __iter__(self) -> Iterator[FrameKind]:
        return iter(self._kinds.values())

    def parse(self, envelope: Envelope, document: Mapping[str, Any]) -> tuple[FrameKind, Any]:
        """Return the kind of a frame and its validated data."""
        kind = self._kinds.get(envelope.type)
        if kind is None:
            raise UnknownFrame(frame_id=envelope.id)
        data = document.get("data")
        return kind, validated(kind.adapter, {} if data is None else data, frame_id=envelope.id)


def parse_document(text: str | bytes) -> dict[str, Any]:
    """Parse a client's text: strict JSON, an object."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        document = parse_json(raw)
    except problems.InvalidJson:
        raise InvalidFrame("The frame is no valid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidFrame("A frame is a JSON object.")
    settle(document)
    return document


def parse_envelope(document: dict[str, Any]) -> Envelope:
    """Return what every frame has; refuses another shape."""
    envelope: Envelope = validated(_ENVELOPE, document)
    return envelope


def validated(adapter: TypeAdapter[Any], value: object, *, frame_id: str | None = None) -> Any:
    """Validate a part of a frame as strictly as a JSON body."""
    try:
        model = adapter.validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        raise InvalidFrame(frame_id=frame_id, error=error) from None
    if holds_nul(adapter.dump_python(model)):
        raise InvalidFrame("Texts must not contain the NUL character.", frame_id=frame_id)
    return model


_ENVELOPE: Final[TypeAdapter[Any]] = TypeAdapter(Envelope)
AUTH: Final[TypeAdapter[Any]] = TypeAdapter(AuthMessage)
