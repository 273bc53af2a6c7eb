"""The beacon as this replica last knew it, for customers who look at it over a socket."""

from common.clock import Clock
from pairing import errors
from pairing.domain import Beacon
from pairing.handlers.announce import Announcer
from pairing.handlers.render import beacon_view
from pairing.ports import Presence
from pairing.views.shapes import BeaconView


class BeaconBoard:
    """Passes on what availability tells; asks the mirror itself when nobody tells."""

    def __init__(
        self, *, presence: Presence, announcer: Announcer, clock: Clock, fresh_seconds: float
    ) -> None:
        self._presence = presence
        self._announcer = announcer
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._beacon: Beacon | None = None
        self._known_at = float("-inf")

    def heard(self, beacon: Beacon) -> None:
        """Take what availability told all replicas and pass it on."""
        self._take(beacon)

    async def now(self) -> BeaconView | None:
        """Return the beacon, at most a few seconds old; None when nobody can tell."""
        await self.refresh()
        return None if self._beacon is None else beacon_view(self._beacon)

    async def refresh(self) -> None:
        """Ask anew when what we know is old; tells the sockets when it changed."""
        if self._clock.monotonic() - self._known_at <= self._fresh_seconds:
            return
        try:
            self._take(await self._presence.beacon())
        except errors.PresenceUnavailable:
            # An old beacon is not shown as a new one.
            self._beacon = None

    def _take(self, beacon: Beacon) -> None:
        known, self._beacon = self._beacon, beacon
        self._known_at = self._clock.monotonic()
        if known is None or (known.state, known.count) != (beacon.state, beacon.count):
            self._announcer.beacon(beacon)
