"""Faults that people and tests order from the providers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

Provider = Literal["fazpass", "midtrans"]
Kind = Literal[
    "slow",  # answers after `seconds`
    "error",  # answers 500 and does nothing
    "lost",  # accepted, but the message or notification never arrives
    "late",  # it arrives after `seconds`
    "duplicate",  # it arrives twice
    "out_of_order",  # the notification of the state before arrives after it
    "bad_signature",  # the notification is signed with another key first
]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
KINDS: tuple[Kind, ...] = get_args(Kind)
_ONLY_NOTIFICATIONS = {"out_of_order", "bad_signature"}


class UnknownFault(ValueError):
    """No provider has such a fault."""


@dataclass(frozen=True)
class Fault:
    """A fault for the next `times` occasions; `seconds` is for the slow and the late."""

    provider: Provider
    kind: Kind
    times: int = 1
    seconds: float = 3.0


class Faults:
    """Ordered faults, each used up by the occasions it was ordered for."""

    def __init__(self) -> None:
        self._ordered: dict[tuple[Provider, Kind], Fault] = {}

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._ordered.values()))

    def order(self, fault: Fault) -> None:
        """Order a fault, replacing one of the same kind; zero times cancels it."""
        if fault.times <= 0:
            self._ordered.pop((fault.provider, fault.kind), None)
        else:
            self._ordered[fault.provider, fault.kind] = fault

    def clear(self) -> None:
        """Cancel everything."""
        self._ordered.clear()

    def take(self, provider: Provider, kind: Kind) -> Fault | None:
        """Return the fault if one is ordered, using up one occasion."""
        fault = self._ordered.get((provider, kind))
        if fault is not None:
            self.order(replace(fault, times=fault.times - 1))
        return fault


def parse(values: object) -> Fault:
    """Read a fault as it arrives in a request."""
    if not isinstance(values, dict):
        raise UnknownFault("a fault is a JSON object")
    provider, kind = values.get("provider"), values.get("kind")
    if provider not in PROVIDERS:
        raise UnknownFault(f"provider is one of {', '.join(PROVIDERS)}")
    if kind not in KINDS or (provider == "fazpass" and kind in _ONLY_NOTIFICATIONS):
        raise UnknownFault(f"kind is one of {', '.join(KINDS)}; the last two are for midtrans")
    try:
        times, seconds = int(values.get("times", 1)), float(values.get("seconds", 3.0))
    except (TypeError, ValueError):
        raise UnknownFault("times and seconds are numbers") from None
    return Fault(provider=provider, kind=kind, times=times, seconds=min(max(seconds, 0.0), 60.0))
