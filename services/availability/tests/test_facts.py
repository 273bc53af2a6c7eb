"""Why no requests, and how long online: the rules, without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from availability.domain import Hindrance, OfflineReason, Status
from availability.domain.advice import advice_for
from availability.domain.facts import Doors, Fact, Known, differences, facts_of
from availability.domain.online_time import LONGEST_WINDOW, Window, window
from availability.errors import WindowEmpty, WindowTooLong

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FRESH = timedelta(seconds=45)
SOMEONE = UUID(int=1)
OPEN = Doors(is_open=True)


def ago(seconds: float) -> datetime:
    """Return the moment that many seconds before now."""
    return NOW - timedelta(seconds=seconds)


STATUS = Status(SOMEONE, True, True, timedelta(seconds=5), 1, 3, "mirror")
KNOWN = Known(
    mitra_id=SOMEONE,
    display_name="Sari",
    is_active=True,
    active_since=ago(9000),
    is_online=True,
    online_since=ago(600),
    went_online_at=ago(600),
    offline_reason=None,
    last_heartbeat_at=ago(20),
    load=1,
    capacity=3,
    load_since=ago(300),
    was_here=True,
    now=NOW,
)


def explained(
    status: Status = STATUS, known: Known | None = KNOWN, doors: Doors = OPEN
) -> dict[str, Fact]:
    """Return the facts by their names."""
    facts = facts_of(status, known, doors, fresh_limit=FRESH, now=NOW)
    return {fact.fact: fact for fact in facts}


@pytest.mark.req("AV-13")
def test_each_fact_has_the_age_that_is_known() -> None:
    """Each since is the owner's; since when a beat is fresh nobody wrote down."""
    facts = explained()
    assert {name: fact.ok for name, fact in facts.items()} == dict.fromkeys(
        ("online", "active", "fresh", "load", "service"), True
    )
    assert [facts[name].since for name in ("online", "active", "fresh", "load", "service")] == [
        ago(600),
        ago(9000),
        None,
        ago(300),
        None,
    ]


@pytest.mark.req("AV-13")
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("age", [5, 60])
@pytest.mark.parametrize("load", [1, 3])
def test_facts_and_reasons_agree(*, online: bool, active: bool, age: float, load: int) -> None:
    """A fact is not all right exactly where it is named as a reason."""
    status = Status(SOMEONE, online, active, timedelta(seconds=age), load, 3, "mirror")
    names: dict[str, Hindrance] = {
        "online": "offline",
        "active": "deactivated",
        "fresh": "stale",
        "load": "full",
    }
    found = explained(status)
    hindering = {names[name] for name, fact in found.items() if fact.ok is False}
    assert hindering == set(status.hindrances(FRESH))


@pytest.mark.req("AV-13")
def test_where_the_two_disagree_nobody_knows_since_when() -> None:
    """The finder's word decides; Postgres' moment belongs to another value and is not shown."""
    other = replace(KNOWN, is_online=False, is_active=False, load=2, offline_reason="operator")
    facts = explained(STATUS, other)
    assert [facts[name].since for name in ("online", "active", "load")] == [None, None, None]
    assert facts["online"].ok
    offline = explained(replace(STATUS, is_online=False), KNOWN)["online"]
    assert (offline.ok, offline.since) == (False, None)


@pytest.mark.req("AV-13")
def test_without_postgres_the_facts_come_without_ages() -> None:
    """What the mirror holds is told; how old it is, is not made up."""
    facts = explained(known=None)
    assert [fact.since for fact in facts.values()] == [None] * 5
    assert all(fact.ok for fact in facts.values())


@pytest.mark.req("AV-13")
def test_stale_since_the_limit_passed() -> None:
    """A beat of 60 s ago was fresh for 45 s: she is stale for 15 s."""
    fresh = explained(replace(STATUS, beat_age=timedelta(seconds=60)))["fresh"]
    assert (fresh.ok, fresh.since) == (False, ago(15))
    assert fresh.fact == "fresh"
    assert fresh.last_heartbeat_at == ago(60)
    # At the limit itself she is stale, as for the finder.
    at_limit = explained(replace(STATUS, beat_age=FRESH))["fresh"]
    assert (at_limit.ok, at_limit.since) == (False, NOW)


@pytest.mark.req("AV-13")
def test_offline_nobody_listens() -> None:
    """Her last beat is told from Postgres, and is neither good nor bad."""
    status = replace(STATUS, is_online=False, beat_age=None)
    fresh = explained(status, replace(KNOWN, is_online=False, offline_reason="self"))["fresh"]
    assert fresh.fact == "fresh"
    assert (fresh.ok, fresh.last_heartbeat_at) == (None, ago(20))
    never = explained(status, replace(KNOWN, is_online=False, last_heartbeat_at=None))["fresh"]
    assert never.fact == "fresh"
    assert (never.ok, never.last_heartbeat_at, never.heartbeat_age_seconds) == (None, None, None)


@pytest.mark.req("AV-13")
@pytest.mark.parametrize("reason", [None, *get_args(OfflineReason)])
def test_each_way_offline_has_its_advice(reason: OfflineReason | None) -> None:
    """The mitra is told what to do, the operator what happened: two sentences, never the same."""
    status = replace(STATUS, is_online=False, beat_age=None)
    fact = explained(status, replace(KNOWN, is_online=False, offline_reason=reason))["online"]
    hers, theirs = advice_for(fact, "mitra"), advice_for(fact, "operator")
    assert hers
    assert theirs
    assert hers != theirs


@pytest.mark.req("AV-13", "AV-16")
def test_what_is_not_all_right_has_advice_and_nothing_else() -> None:
    """Full, stale, switched off, closed: each says its numbers; what is all right says nothing."""
    bad = Status(SOMEONE, True, False, timedelta(seconds=60), 3, 3, "mirror")
    opens = datetime(2026, 2, 1, 1, 30, tzinfo=UTC)
    closed = Doors(is_open=False, why="hours", since=ago(60), opens_at=opens)
    facts = explained(bad, KNOWN, closed)
    told = {name: advice_for(fact, "operator") for name, fact in facts.items()}
    assert told["online"] is None
    assert "3 of 3" in str(told["load"])
    assert "60 s ago" in str(told["fresh"])
    assert "switched off" in str(told["active"])
    assert "2026-02-01 01:30 UTC" in str(told["service"])
    assert facts["service"].since == ago(60)
    switch = Doors(is_open=False, why="switch", note="new servers")
    assert "maintenance" in str(advice_for(explained(doors=switch)["service"], "mitra"))


@pytest.mark.req("AV-13", "AV-15")
def test_the_mirror_is_compared_fact_by_fact() -> None:
    """Each disagreement is named with both values; beats differ by the flush and are left out."""
    assert differences(STATUS, KNOWN) == []
    held = replace(STATUS, is_online=False, is_active=False, load=2, beat_age=None)
    assert [(one.fact, one.mirror, one.postgres) for one in differences(held, KNOWN)] == [
        ("online", "False", "True"),
        ("active", "False", "True"),
        ("load", "2/3", "1/3"),
    ]
    assert [one.fact for one in differences(None, KNOWN)] == ["all"]
    assert differences(None, replace(KNOWN, was_here=False)) == []


@pytest.mark.req("AV-14")
def test_a_window_is_what_was_meant() -> None:
    """Up to now and a day long unless said otherwise; the future is not counted."""
    day = timedelta(days=1)
    assert window(starts_at=None, ends_at=None, now=NOW) == Window(NOW - day, NOW)
    assert window(starts_at=ago(60), ends_at=None, now=NOW) == Window(ago(60), NOW)
    assert window(starts_at=None, ends_at=ago(60), now=NOW) == Window(ago(60) - day, ago(60))
    ahead = NOW + timedelta(days=900)
    assert window(starts_at=ago(60), ends_at=ahead, now=NOW) == Window(ago(60), NOW)
    longest = NOW - LONGEST_WINDOW
    assert window(starts_at=longest, ends_at=NOW, now=NOW) == Window(longest, NOW)


@pytest.mark.req("AV-14")
def test_a_bad_window_is_refused() -> None:
    """Empty, backwards, all in the future, too long: each says so."""
    for starts, ends in ((ago(60), ago(60)), (ago(60), ago(61)), (NOW, NOW + FRESH), (NOW, None)):
        with pytest.raises(WindowEmpty):
            window(starts_at=starts, ends_at=ends, now=NOW)
    with pytest.raises(WindowTooLong):
        window(
            starts_at=NOW - LONGEST_WINDOW - timedelta(microseconds=1),
            ends_at=None,
            now=NOW,
        )
