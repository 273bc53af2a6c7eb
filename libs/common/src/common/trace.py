"""Traces: one id that follows a piece of work from process to process (W3C traceparent)."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$")
_current: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent() -> str:
    """Return the header to send on: the present trace with a new span, or a new trace."""
    match = _TRACEPARENT.match(_current.get())
    trace, flags = (match[1], match[2]) if match else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


@contextmanager
def continued(received: str | None) -> Iterator[str]:
    """Work inside the trace that was received, or a new one; logs carry its id."""
    token = _current.set(received if received and _TRACEPARENT.match(received) else "")
    header = traceparent()
    _current.set(header)
    try:
        with structlog.contextvars.bound_contextvars(trace_id=header.split("-")[1]):
            yield header
    finally:
        _current.reset(token)
