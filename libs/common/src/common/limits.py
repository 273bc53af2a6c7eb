"""How often somebody may ask: GCRA, in process, by class of route and user or address.

A replica counts for itself: the limits keep one caller from hurting the others, they are no quota.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from common.clock import Clock


class Rate(BaseModel):
    """A steady rate and how much of it may be used at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_second: Annotated[float, Field(gt=0)]
    burst: Annotated[int, Field(ge=1)]


class RateLimits(BaseModel):
    """The rates of the route classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: Rate = Rate(per_second=50, burst=100)
    write: Rate = Rate(per_second=20, burst=40)
    sensitive: Rate = Rate(per_second=5, burst=10)

    def by_class(self) -> Mapping[str, Rate]:
        """Return the rates by the name of their class."""
        return {"read": self.read, "write": self.write, "sensitive": self.sensitive}


class Gcra:
    """The generic cell rate algorithm: one number a key, exact, without a background task."""

    def __init__(self, rate: Rate, *, clock: Clock, most_keys: int = 50_000) -> None:
        self._interval = 1.0 / rate.per_second
        self._tolerance = self._interval * (rate.burst - 1)
        self._clock = clock
        self._most_keys = most_keys
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    def ask(self, key: str) -> float:
        """Take one cell; return 0, or the seconds to wait when there is none."""
        now, arrivals = self._clock.monotonic(), self._arrivals
        arrival = arrivals.get(key, now)
        arrival = max(arrival, now)
        wait = arrival - self._tolerance - now
        # Floats: a caller that waited exactly as told must not be refused for a nanosecond.
        if wait > 1e-9:
            return wait
        arrivals[key] = arrival + self._interval
        arrivals.move_to_end(key)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        # The oldest touched go first; most of them are idle, so forgetting them changes nothing.
        while self._arrivals:
            key, arrival = next(iter(self._arrivals.items()))
            if arrival > now and len(self._arrivals) <= self._most_keys:
                return
            del self._arrivals[key]


class Pace:
    """The same for something that has one key only: two numbers and no table."""

    __slots__ = ("_arrival", "_interval", "_tolerance")

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._interval = 1.0 / per_second
        self._tolerance = self._interval * (burst - 1)
        self._arrival = float("-inf")

    def ask(self, now: float) -> float:
        """Take one cell at this moment of a monotonic clock; return 0, or the seconds to wait."""
        arrival = max(self._arrival, now)
        wait = arrival - self._tolerance - now
        if wait > 1e-9:
            return wait
        self._arrival = arrival + self._interval
        return 0.0


class Limiter:
    """The limits of one service: a bucket for each class and caller."""

    def __init__(self, limits: RateLimits, *, clock: Clock) -> None:
        self._buckets = {name: Gcra(rate, clock=clock) for name, rate in limits.by_class().items()}

    def ask(self, rate_class: str, key: str) -> float:
        """Take one request of this class; return 0, or the seconds to wait."""
        return self._buckets[rate_class].ask(key)


IPV6_PREFIX: Final = 64


def address_key(address: str) -> str:
    """Return the key of an address: an IPv6 user owns a /64, not one address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        network = ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False)
        return str(network.network_address) + f"/{IPV6_PREFIX}"
    return str(parsed)
