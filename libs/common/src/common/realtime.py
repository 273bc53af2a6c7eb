"""Realtime fan-out: our own sockets first, then the other replicas through core NATS."""

from collections.abc import Callable, Mapping
from uuid import uuid4

from common.bus import Bus
from common.log import get_logger

_log = get_logger("realtime")
_ORIGIN = "Temani-Origin"

Deliver = Callable[[str, bytes], None]


class Fanout:
    """Delivers here at once, whether NATS is there or not, and elsewhere when it is."""

    def __init__(self, *, bus: Bus, replica: str) -> None:
        self._bus = bus
        # Two processes may be given one name by mistake; they must still hear each other.
        self._origin = f"{replica}/{uuid4().hex[:8]}"
        self._exact: dict[str, list[Deliver]] = {}
        self._patterns: list[tuple[list[str], Deliver]] = []

    def on(self, subject: str, deliver: Callable[[bytes], None]) -> None:
        """Deliver the bodies of a subject, or of a pattern such as "rt.chat.*"."""
        self.on_each(subject, lambda _subject, body: deliver(body))

    def on_each(self, subject: str, deliver: Deliver) -> None:
        """Deliver subject and body: for patterns, whose last token says whom it is for."""
        if "*" in subject or ">" in subject:
            self._patterns.append((subject.split("."), deliver))
        else:
            self._exact.setdefault(subject, []).append(deliver)

        async def hear(told: str, body: bytes, headers: Mapping[str, str]) -> None:
            if headers.get(_ORIGIN) != self._origin:
                _deliver(deliver, told, body)

        self._bus.listen_with_headers(subject, hear)

    def tell(self, subject: str, body: bytes) -> None:
        """Deliver to our own listeners now and tell the other replicas; never raises or waits."""
        for deliver in self._exact.get(subject, ()):
            _deliver(deliver, subject, body)
        if self._patterns:
            tokens = subject.split(".")
            for pattern, deliver in self._patterns:
                if _matches(pattern, tokens):
                    _deliver(deliver, subject, body)
        self._bus.tell(subject, body, headers={_ORIGIN: self._origin})


def _deliver(deliver: Deliver, subject: str, body: bytes) -> None:
    try:
        deliver(subject, body)
    except Exception:  # noqa: BLE001 - one listener's fault is not the others'
        _log.exception("delivery_failed", subject=subject)


def _matches(pattern: list[str], tokens: list[str]) -> bool:
    for index, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > index
        if index >= len(tokens) or part not in ("*", tokens[index]):
            return False
    return len(pattern) == len(tokens)
