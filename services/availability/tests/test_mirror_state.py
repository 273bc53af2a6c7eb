"""What operators are told of the mirror: how it is, why, and what helps."""

from datetime import UTC, datetime

import pytest

from availability.http.mirror import mirror_state
from mirror import MirrorState

pytestmark = pytest.mark.req("AV-15")

NOW = datetime(2026, 1, 31, tzinfo=UTC)
EVICTION = (
    "Valkey may evict the mirror's keys (maxmemory-policy allkeys-lru): set it to noeviction."
)


def test_a_danger_is_told_while_all_is_well() -> None:
    """Before Valkey evicts anything, in words and with a code."""
    shown = mirror_state(MirrorState("ok", None, NOW, EVICTION))

    assert (shown.advice, shown.advice_codes) == (EVICTION, ["eviction"])


def test_what_helps_now_and_what_helps_later_are_both_told() -> None:
    """A state's own advice hides no danger, and is not hidden by one."""
    away = mirror_state(MirrorState("away", "refused", NOW, code="away"))
    both = mirror_state(MirrorState("away", "refused", NOW, EVICTION))

    assert (away.reason, away.reason_code) == ("refused", "away")
    assert away.advice_codes == ["away"]
    assert both.advice == f"{away.advice} {EVICTION}"
    assert both.advice_codes == ["away", "eviction"]


def test_a_valkey_that_takes_no_writes_is_not_looked_for() -> None:
    """It can be asked: what helps is another thing than while it is away."""
    shown = mirror_state(MirrorState("away", "it takes no writes: OOM", NOW, code="no_writes"))

    assert shown.advice_codes == ["no_writes"]
    assert "takes no writes" in (shown.advice or "")


def test_a_mirror_in_order_needs_nothing() -> None:
    """No advice, no code."""
    shown = mirror_state(MirrorState("ok", None, NOW))

    assert (shown.advice, shown.advice_codes) == (None, [])


def test_a_deaf_mirror_has_two_causes() -> None:
    """With few online it is their connection as likely as Valkey."""
    advice = mirror_state(MirrorState("deaf", "no beat comes", NOW)).advice or ""

    assert "lost their connection" in advice
    assert "Valkey" in advice
