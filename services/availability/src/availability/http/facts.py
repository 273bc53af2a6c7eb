"""From facts to what is shown of them."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from availability.domain.advice import Reader, advice_for
from availability.domain.facts import Fact, ServiceFact
from availability.views.facts import FactView

_VIEWS: TypeAdapter[FactView] = TypeAdapter(FactView)


def fact_views(facts: Sequence[Fact], *, reader: Reader, now: datetime) -> list[FactView]:
    """Show each fact with its age and, where it keeps requests away, what helps."""
    return [_VIEWS.validate_python(_shown(fact, reader, now)) for fact in facts]


def _shown(fact: Fact, reader: Reader, now: datetime) -> dict[str, Any]:
    # Two clocks that differ by a little must not make an age negative.
    age = None if fact.since is None else max(0.0, (now - fact.since).total_seconds())
    told = asdict(_without_asides(fact, reader))
    return {**told, "age_seconds": age, "advice": advice_for(fact, reader)}


def _without_asides(fact: Fact, reader: Reader) -> Fact:
    """Keep among operators what they write for each other."""
    if reader == "mitra" and isinstance(fact, ServiceFact):
        return replace(fact, note=None)
    return fact
