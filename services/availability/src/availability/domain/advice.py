"""What helps, in a sentence, where a fact keeps a mitra from getting requests."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from availability.domain.facts import (
    ActiveFact,
    Fact,
    FreshFact,
    LoadFact,
    OnlineFact,
    ServiceFact,
)

Reader = Literal["mitra", "operator"]

_OFFLINE: Final[dict[str | None, dict[Reader, str]]] = {
    None: {
        "mitra": "Go online to get requests.",
        "operator": "She has not gone online yet.",
    },
    "self": {
        "mitra": "Go online to get requests.",
        "operator": "She went offline herself.",
    },
    "auto_offline": {
        "mitra": "Your app was silent for too long. Check the connection, then go online again.",
        "operator": "Her app was silent for too long. She has to go online again herself.",
    },
    "operator": {
        "mitra": "An operator took you offline. Go online again when you are ready.",
        "operator": "An operator took her offline. She may go online again at any time.",
    },
    "logout": {
        "mitra": "You were signed out on the device you were online with. Go online again.",
        "operator": "The login she was online by has ended. She has to go online again herself.",
    },
    "deactivated": {
        "mitra": "Your account was switched off, and that took you offline.",
        "operator": "She was taken offline when her account was switched off.",
    },
}


def advice_for(fact: Fact, reader: Reader) -> str | None:
    """Return what helps; None where nothing needs help."""
    if fact.ok is not False:
        return None
    return _ADVICE[fact.fact](fact, reader)


def _online(fact: Fact, reader: Reader) -> str:
    assert isinstance(fact, OnlineFact)
    return _OFFLINE[fact.reason][reader]


def _active(fact: Fact, reader: Reader) -> str:
    assert isinstance(fact, ActiveFact)
    if reader == "mitra":
        return "Your account is switched off. Ask support: only an operator can switch it on."
    return "Her account is switched off. Switch it on in the list of mitras."


def _fresh(fact: Fact, reader: Reader) -> str:
    assert isinstance(fact, FreshFact)
    age = fact.heartbeat_age_seconds
    silence = "never" if age is None else f"{age:.0f} s ago"
    if reader == "mitra":
        return f"Your app was last heard {silence}. Keep it open and check the connection."
    return (
        f"Her app was last heard {silence}; the limit is {fact.limit_seconds:.0f} s. "
        "The next heartbeat mends it; silence for longer takes her offline."
    )


def _load(fact: Fact, reader: Reader) -> str:
    assert isinstance(fact, LoadFact)
    if reader == "mitra":
        return f"You hold {fact.load} of {fact.capacity} sessions. End one to get requests."
    return (
        f"She holds {fact.load} of {fact.capacity} sessions. "
        "Wait until one ends, or raise her capacity."
    )


def _service(fact: Fact, reader: Reader) -> str:
    assert isinstance(fact, ServiceFact)
    until = "" if fact.opens_at is None else f" It opens at {_utc(fact.opens_at)}."
    if fact.why == "switch":
        what = "The service is in maintenance: nobody gets requests."
        return f"{what}{until}" if reader == "mitra" else f"{what}{until} Switch it off when done."
    return f"The service is closed now: nobody gets requests.{until}"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


_ADVICE: Final[dict[str, Callable[[Fact, Reader], str]]] = {
    "online": _online,
    "active": _active,
    "fresh": _fresh,
    "load": _load,
    "service": _service,
}
