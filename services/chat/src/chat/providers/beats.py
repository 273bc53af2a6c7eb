"""A mitra's heartbeat over the chat socket: into the mirror, or to Postgres when it is away."""

from collections.abc import Callable
from uuid import UUID

from common.db import Unavailable
from mirror import BeatOutcome, MirrorKit


class MirrorBeats:
    """Heartbeats go where availability reads them."""

    def __init__(self, kit: MirrorKit) -> None:
        self._kit = kit

    async def beat(self, mitra_id: UUID) -> bool | None:
        """Note it; False tells that she is offline, None that nobody could say."""
        try:
            outcome = await self._kit.beats.beat(mitra_id)
        except Unavailable:
            return None
        return outcome is BeatOutcome.RECORDED

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Note it and tell, when it is written, what beat() says."""
        self._kit.beats.beat_soon(mitra_id, tell)
