"""Commands: core request and reply, answered by one replica of the owner, bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ValidationError

from common import trace
from common.bus.envelope import Malformed, header
from common.bus.errors import BusUnavailable, CommandFailed
from common.bus.link import Link
from common.db import Unavailable
from common.log import get_logger

_log = get_logger("bus")
_served = Counter("commands_served_total", "Commands answered, by outcome", ["subject", "outcome"])
_seconds = Histogram("command_seconds", "Serving one command", ["subject"])

Serve = Callable[[bytes, Mapping[str, str]], Awaitable[BaseModel]]

_TIMEOUT = "Temani-Timeout-Ms"
_ERROR = "Temani-Error"
_DEFAULT_TIMEOUT_MS = 5000
WORKERS = 4


async def request(
    link: Link,
    subject: str,
    body: BaseModel,
    *,
    timeout: float,  # noqa: ASYNC109 - it travels with the command
    headers: Mapping[str, str] | None,
) -> bytes:
    """Ask the owner and return its answer's body."""
    client = link.client
    if client is None or not link.up:
        raise BusUnavailable("NATS is away.")
    sent = {
        **(headers or {}),
        "traceparent": trace.traceparent(),
        _TIMEOUT: str(int(timeout * 1000)),
        "Content-Type": "application/json",
    }
    try:
        async with asyncio.timeout(timeout + 0.5):
            reply = await client.request(
                subject, body.model_dump_json().encode(), timeout=timeout, headers=sent
            )
    except (NatsError, OSError, TimeoutError) as error:
        raise BusUnavailable(f"{subject}: {type(error).__name__}") from error
    if code := header(reply.headers, _ERROR):
        raise CommandFailed(code, reply.data.decode(errors="replace"))
    return reply.data


def server(subject: str, serve: Serve) -> Callable[[Msg], Awaitable[None]]:
    """Return what answers each request with `serve`'s model, or with an error's code."""

    async def answer(message: Msg) -> None:
        outcome = "ok"
        with _seconds.labels(subject).time():
            try:
                async with asyncio.timeout(_limit(message)):
                    model = await serve(message.data, dict(message.headers or {}))
                await _reply(message, model.model_dump_json().encode(), None)
            except Exception as error:  # noqa: BLE001 - the asker needs an answer to any of them
                outcome = _code(error)
                await _reply(message, _detail(error).encode(), outcome)
        _served.labels(subject, outcome).inc()

    return answer


def _limit(message: Msg) -> float:
    """Return how long the asker waits: working longer would help nobody."""
    text = header(message.headers, _TIMEOUT)
    return (int(text) if text.isdigit() else _DEFAULT_TIMEOUT_MS) / 1000


async def _reply(message: Msg, body: bytes, error: str | None) -> None:
    if not message.reply:
        return
    headers = {"Content-Type": "application/json"}
    if error is not None:
        headers[_ERROR] = error
    try:
        await message._client.publish(message.reply, body, headers=headers)  # noqa: SLF001 - respond() sends no headers
    except (NatsError, OSError) as failure:
        _log.warning("reply_lost", subject=message.subject, error=type(failure).__name__)


def _code(error: Exception) -> str:
    match error:
        case Malformed() | ValidationError():
            return "malformed"
        case Unavailable():
            return "unavailable"
        case TimeoutError():
            return "timed_out"
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    _log.error("command_failed", exc_info=error)
    return "internal"


def _detail(error: Exception) -> str:
    # Only what was meant for others leaves the process.
    known = isinstance(getattr(error, "code", None), str) or isinstance(error, Malformed)
    return orjson.dumps({"detail": str(error) if known else ""}).decode()
