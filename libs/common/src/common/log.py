"""Logs: one structured line a unit of work, JSON off a terminal, no secrets and no phones."""

import functools
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import Processor

_SECRET = re.compile(
    r"(^|_)(token|secret|password|passphrase|authorization|cookie|otp|pin|phone|signature)(_|$)"
    r"|^(code|text|email|database_url|valkey_url|nats_url)$"
)
# A number of the international form, wherever it slipped into a text.
_PHONE = re.compile(r"\+\d{8,15}\b")
# Access and refresh tokens by their shape: a library may quote the header of a client.
_TOKEN = re.compile(r"\b(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|tmr1_[\w-]{8,})")
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@/\s]+@")
_HIDDEN = "***"


def configure(service: str, *, level: str, fmt: str, to: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging through one renderer to stdout.

    A command whose answer goes to stdout sends its log `to` stderr.
    """
    out = to or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service_adder(service),
        structlog.processors.StackInfoRenderer(),
    ]
    renderers = _renderers(fmt, out)
    # Our own lines go straight out: through the standard library each costs three times as much.
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=lambda name="temani": _Lines(str(name), out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_number(level))
    # These repeat what our own lines say better, once for each request or packet.
    for name in ("aiohttp.access", "nats", "asyncio"):
        logging.getLogger(name).setLevel(max(_number(level), logging.WARNING))
    # It quotes what a client offers as subprotocols: some clients put their token there.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    # While Postgres is away its pool would write a traceback a second; db_unavailable_total counts.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


def get_logger(name: str | None = None) -> BoundLogger:
    """Return a logger that takes an event name and key=value pairs."""
    return cast("BoundLogger", structlog.get_logger(name or "temani"))


class _Lines:
    """Writes rendered lines; has the name that add_logger_name asks for."""

    def __init__(self, name: str, out: TextIO) -> None:
        self.name = name
        self._out = out

    def msg(self, line: str) -> None:
        """Write one line in one piece, so that lines of several tasks never mix."""
        self._out.write(line + "\n")
        self._out.flush()

    debug = info = warning = error = critical = msg


@functools.lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return _SECRET.search(key) is not None


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide what a log must not hold: secrets by their key, phones and tokens by their shape."""
    for key, value in event.items():
        if _is_secret(key):
            event[key] = _HIDDEN
        elif isinstance(value, str):
            event[key] = _without_secrets(value)
    return event


def _without_secrets(text: str) -> str:
    if "eyJ" in text or "tmr1_" in text:
        text = _TOKEN.sub(_HIDDEN, text)
    if "+" in text or "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{_HIDDEN}@", _PHONE.sub(_HIDDEN, text))
    return text


def _service_adder(service: str) -> Processor:
    def add(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add


def _renderers(fmt: str, out: TextIO) -> list[Processor]:
    wanted: Literal["json", "console"] = "console" if fmt == "console" else "json"
    if fmt == "auto" and out.isatty():
        wanted = "console"
    if wanted == "console":
        # Not the rich one: it prints local variables, and among them tokens and phones.
        return [
            redact,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    return [
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.JSONRenderer(serializer=_dump),
    ]


def _dump(event: object, **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
