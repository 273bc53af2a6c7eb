"""Looks at the mirror each second, so that everybody may say how it is without asking it."""

from dataclasses import replace
from typing import Final, get_args

from prometheus_client import Gauge

from common.clock import Clock
from common.log import get_logger
from mirror.errors import MirrorUnavailable
from mirror.mirror import Mirror
from mirror.outcomes import MirrorState, ReasonCode, State

_log = get_logger("mirror")
_state = Gauge("mirror_state", "1 for the state the mirror is in", ["state"])

_may_evict = Gauge("mirror_may_be_evicted", "1 while Valkey may evict keys of ours")

SECONDS: Final = 1.0


class Watch:
    """Remembers in which state the mirror is, and since when."""

    def __init__(self, *, mirror: Mirror, clock: Clock) -> None:
        self._mirror = mirror
        self._clock = clock
        self._looked = False
        self.state = MirrorState("away", None, clock.now())

    async def look(self) -> None:
        """Ask once, and learn Valkey's clock anew; never raises."""
        try:
            await self._mirror.learn_clock()
            self._advise(await self._mirror.eviction_policy())
            await self._mirror.seed()
        except MirrorUnavailable as error:
            self._note(error.state, error.reason, error.code)
        else:
            self._note("ok", None, None)

    def _note(self, state: State, reason: str | None, code: ReasonCode | None) -> None:
        for name in get_args(State):
            _state.labels(name).set(name == state)
        goes_on = self._looked and state == self.state.state
        if goes_on and code in {"away", self.state.code}:
            # The first reason tells most, unless a later one has a name.
            return
        self._looked = True
        since = self.state.since if goes_on else self._clock.now()
        self.state = MirrorState(state, reason, since, self.state.advice, code)
        _log.info("mirror_state", state=state, reason=reason)

    def _advise(self, policy: str | None) -> None:
        advice = None
        if policy is not None:
            advice = (
                f"Valkey may evict our keys (maxmemory-policy {policy}). Without one of the"
                " mirror's Postgres answers until the next seeding; without that of an ended login"
                " a replica that missed the news takes its tokens until they expire. Set it to"
                " noeviction."
            )
        _may_evict.set(advice is not None)
        if advice == self.state.advice:
            return
        self.state = replace(self.state, advice=advice)
        _log.warning("mirror_eviction", policy=policy or "noeviction", advice=advice)
