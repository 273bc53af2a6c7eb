"""What a handler of an HTTP route gets, and what it may give back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from aiohttp import web
from pydantic import BaseModel

from common.tokens import Caller
from common.web.address import client_ip

T = TypeVar("T")


class IdempotencyKey(str):
    """The client's name for one wish: sent again, the wish is answered again but not done again."""

    __slots__ = ()


class Page(BaseModel, Generic[T]):
    """A slice of a list; `next_cursor` asks for the next one, null means this was the last."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """An answer with its own status or headers; bytes are JSON that was rendered before."""

    body: T | bytes | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Context(NamedTuple):
    """One request, as far as a handler may care."""

    request: web.Request
    request_id: str
    route: str
    body: bytes = b""
    known_caller: Caller | None = None

    @property
    def client_ip(self) -> str:
        """Return the address that the request came from."""
        return client_ip(self.request)

    @property
    def app(self) -> web.Application:
        """Return the application, to reach what `app.py` put there."""
        return self.request.app

    @property
    def caller(self) -> Caller:
        """Return who asks; only routes with roles have one."""
        if self.known_caller is None:
            raise RuntimeError(f"route {self.route} is public: it has no caller")
        return self.known_caller
