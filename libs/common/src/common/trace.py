"""Traces: one id that follows a piece of work from process to process (W3C traceparent)."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$")
_current: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent() -> str:
    """Return the header to send on: the present trace with a new span, or a new trace."""
    return _next_to(_current.get())


def follow(received: str | None) -> None:
    """Go on with the trace that was received, or a new one, to the end of this task."""
    structlog.contextvars.bind_contextvars(trace_id=_begin(received)[3:35])


@contextmanager
def continued(received: str | None) -> Iterator[str]:
    """Work inside the trace that was received, or a new one; logs carry its id."""
    before = _current.get()
    header = _begin(received)
    try:
        with structlog.contextvars.bound_contextvars(trace_id=header[3:35]):
            yield header
    finally:
        _current.set(before)


def _begin(received: str | None) -> str:
    header = _next_to(received or "")
    _current.set(header)
    return header


def _next_to(known: str) -> str:
    match = _TRACEPARENT.match(known)
    # Not a secret: a name that nobody else has is enough.
    trace, flags = (match[1], match[2]) if match else (f"{random.getrandbits(128):032x}", "01")
    return f"00-{trace}-{random.getrandbits(64):016x}-{flags}"
