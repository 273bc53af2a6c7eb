"""Open sockets: this replica's at once, the others' through the fan-out."""

from uuid import UUID

from common.realtime import Fanout
from common.sockets import Hub

_PREFIX = "rt.chat."


class SocketRealtime:
    """Tells a user on whichever replica she is connected to."""

    def __init__(self, *, hub: Hub, fanout: Fanout) -> None:
        self._hub = hub
        self._fanout = fanout
        fanout.on_each(f"{_PREFIX}*", self._deliver)

    def tell(self, user_id: UUID, frame: bytes) -> None:
        """Send a frame; never waits, never raises."""
        self._fanout.tell(f"{_PREFIX}{user_id}", frame)

    def _deliver(self, subject: str, frame: bytes) -> None:
        self._hub.send(UUID(subject.removeprefix(_PREFIX)), frame)
