"""From facts to what is shown of them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from availability.domain.advice import Reader, advice_for
from availability.domain.facts import Fact
from availability.views.facts import FactView

_VIEWS: TypeAdapter[FactView] = TypeAdapter(FactView)


def fact_views(facts: Sequence[Fact], *, reader: Reader, now: datetime) -> list[FactView]:
    """Show each fact with its age and, where it keeps requests away, what helps."""
    return [_VIEWS.validate_python(_shown(fact, reader, now)) for fact in facts]


def _shown(fact: Fact, reader: Reader, now: datetime) -> dict[str, Any]:
    # Two clocks that differ by a little must not make an age negative.
    age = None if fact.since is None else max(0.0, (now - fact.since).total_seconds())
    return {**asdict(fact), "age_seconds": age, "advice": advice_for(fact, reader)}
