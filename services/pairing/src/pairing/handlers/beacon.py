"""The beacon as this replica last knew it, for customers who look at it over a socket."""

from common.clock import Clock
from mirror.plan import ServiceHours
from pairing import errors
from pairing.domain import Beacon
from pairing.handlers.announce import Announcer
from pairing.handlers.render import beacon_view
from pairing.ports import Presence
from pairing.views.shapes import BeaconView


class BeaconBoard:
    """Passes on what availability tells; asks the mirror itself when nobody tells.

    Whether the service is open it reads from the plan, so that closing and opening need no message.
    """

    def __init__(
        self,
        *,
        presence: Presence,
        hours: ServiceHours,
        announcer: Announcer,
        clock: Clock,
        fresh_seconds: float,
    ) -> None:
        self._presence = presence
        self._hours = hours
        self._announcer = announcer
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._known: Beacon | None = None
        self._known_at = float("-inf")
        self._shown: Beacon | None = None

    def heard(self, beacon: Beacon) -> None:
        """Take what availability told all replicas and pass it on."""
        self._known, self._known_at = beacon, self._clock.monotonic()
        self._show(self._closed() or beacon)

    async def now(self) -> BeaconView | None:
        """Return the beacon, at most a few seconds old; None when nobody can tell."""
        await self.refresh()
        return None if self._shown is None else beacon_view(self._shown)

    async def refresh(self) -> None:
        """Look at the plan, ask anew when what we know is old, and tell the sockets of a change."""
        if self._closed() is None and self._is_old():
            await self._ask()
        self._show(self._closed() or self._known)

    async def _ask(self) -> None:
        known_at = self._known_at
        try:
            beacon = await self._presence.beacon(max_age_seconds=self._fresh_seconds)
        except errors.PresenceUnavailable:
            beacon = None
        # What was told while we asked is newer than the answer.
        if self._known_at == known_at:
            # Nobody answered: an old beacon is not shown as a new one.
            self._known = beacon
            if beacon is not None:
                self._known_at = self._clock.monotonic()

    def _is_old(self) -> bool:
        return self._clock.monotonic() - self._known_at > self._fresh_seconds

    def _closed(self) -> Beacon | None:
        service = self._hours.now()
        if service.is_open:
            return None
        return Beacon("disabled", 0, self._clock.now(), service.why, service.opens_at)

    def _show(self, beacon: Beacon | None) -> None:
        shown, self._shown = self._shown, beacon
        if beacon is not None and not beacon.says_as(shown):
            self._announcer.beacon(beacon)
