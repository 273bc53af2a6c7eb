"""When the service is open: what Postgres plans, against hours reckoned in another way."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import Databases

# A quarter of an hour in DST, a half one, a whole one at midnight, one against the season, none.
ZONES = (
    "Asia/Jakarta",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Europe/Dublin",
)
WEEK = [{"day": day, "opens": "08:00", "closes": "22:00"} for day in range(1, 8)]
SECOND = timedelta(seconds=1)


class Book:
    """Versions of the hours, in a transaction that is rolled back."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def write(
        self,
        *,
        zone: str = "Asia/Jakarta",
        weekly: list[dict[str, Any]] | None = None,
        exceptions: list[dict[str, Any]] | None = None,
        switch: bool = False,
        note: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """Add a version."""
        await self.connection.execute(
            "INSERT INTO service_versions (version, time_zone, weekly, exceptions, maintenance_on,"
            " maintenance_note, maintenance_until, what, changed_by)"
            " SELECT max(version) + 1, $1, $2, $3, $4, $5, $6, 'hours', $7 FROM service_versions",
            zone,
            json.dumps(weekly or []),
            json.dumps(exceptions or []),
            switch,
            note,
            until,
            uuid4(),
        )

    async def plan(self, at: datetime) -> list[tuple[datetime, bool, str | None, str | None]]:
        """Return the plan as of a moment."""
        rows = await self.connection.fetch("SELECT * FROM service_plan_at($1)", at)
        return [tuple(row) for row in rows]

    async def is_open(self, at: datetime) -> bool:
        """Say whether the service is open at a moment."""
        return (await self.plan(at))[0][1]


@pytest.fixture
async def book(databases: Databases) -> AsyncIterator[Book]:
    """The real schema as availability's role sees it, left as it was."""
    database = await databases.shared()
    async with database.connect("availability") as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield Book(connection)
        await transaction.rollback()


def at(text: str, zone: str = "Asia/Jakarta") -> datetime:
    """Read a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.req("AV-16")
async def test_in_the_beginning_it_is_always_open(book: Book) -> None:
    """Without hours and without the switch there is nothing to wait for."""
    now = at("2026-03-01 00:00:00")
    assert await book.plan(now) == [(now, True, None, None)]


@pytest.mark.req("AV-16")
async def test_it_opens_and_closes_to_the_second(book: Book) -> None:
    """The first second of an opening is open, the first after it is not."""
    await book.write(weekly=WEEK)
    opens, closes = at("2026-03-03 08:00:00"), at("2026-03-03 22:00:00")

    assert not await book.is_open(opens - SECOND)
    assert await book.is_open(opens)
    assert await book.is_open(closes - SECOND)
    assert not await book.is_open(closes)
    assert (await book.plan(opens - SECOND))[:3] == [
        (opens - SECOND, False, "hours", None),
        (opens, True, None, None),
        (closes, False, "hours", None),
    ]


@pytest.mark.req("AV-16")
async def test_the_plan_reaches_eight_days(book: Book) -> None:
    """Sixteen changes for two a day; nothing beyond, nothing twice, in order."""
    await book.write(weekly=WEEK)
    now = at("2026-03-03 12:00:00")
    plan = await book.plan(now)

    assert len(plan) == 1 + 16
    assert plan == sorted(plan, key=lambda row: row[0])
    assert plan[-1][0] == at("2026-03-11 08:00:00")
    assert [row[1] for row in plan] == [True, False] * 8 + [True]


@pytest.mark.req("AV-16")
async def test_an_opening_may_last_over_midnight_and_over_the_week(book: Book) -> None:
    """Sunday evening's opening ends on Monday morning; opening and closing alike is a whole day."""
    await book.write(weekly=[{"day": 7, "opens": "20:00", "closes": "02:30"}])
    assert await book.is_open(at("2026-03-01 23:59:59"))  # a Sunday
    assert await book.is_open(at("2026-03-02 02:29:59"))
    assert not await book.is_open(at("2026-03-02 02:30:00"))
    assert not await book.is_open(at("2026-03-02 20:00:00"))

    await book.write(weekly=[{"day": 1, "opens": "06:00", "closes": "06:00"}])
    assert await book.is_open(at("2026-03-03 05:59:59"))
    assert not await book.is_open(at("2026-03-03 06:00:00"))


@pytest.mark.req("AV-16")
async def test_openings_that_meet_are_one(book: Book) -> None:
    """Nobody is told of a closing that lasts no time at all."""
    await book.write(
        weekly=[
            {"day": 2, "opens": "08:00", "closes": "12:00"},
            {"day": 2, "opens": "12:00", "closes": "00:00"},
            {"day": 3, "opens": "00:00", "closes": "06:00"},
        ]
    )
    plan = await book.plan(at("2026-03-03 07:00:00"))
    assert [row[0] for row in plan[1:3]] == [at("2026-03-03 08:00:00"), at("2026-03-04 06:00:00")]


@pytest.mark.req("AV-16")
async def test_an_exception_stands_for_what_begins_on_its_date(book: Book) -> None:
    """Closed, or other hours; what began the evening before ends as it would."""
    await book.write(
        weekly=[{"day": day, "opens": "20:00", "closes": "02:00"} for day in range(1, 8)],
        exceptions=[
            {"date": "2026-03-04"},
            {"date": "2026-03-05", "opens": "06:00", "closes": "07:00"},
            {"date": "2026-03-05", "opens": "09:00", "closes": "10:00"},
        ],
    )
    plan = await book.plan(at("2026-03-04 00:00:00"))
    assert [row[0] for row in plan[1:7]] == [
        at("2026-03-04 02:00:00"),
        at("2026-03-05 06:00:00"),
        at("2026-03-05 07:00:00"),
        at("2026-03-05 09:00:00"),
        at("2026-03-05 10:00:00"),
        at("2026-03-06 20:00:00"),
    ]
    assert plan[0][1]


@pytest.mark.req("AV-16")
async def test_an_exception_closes_a_service_that_never_closes(book: Book) -> None:
    """Without weekly hours a closed date lasts from midnight to midnight."""
    await book.write(exceptions=[{"date": "2026-03-04"}])
    assert await book.is_open(at("2026-03-03 23:59:59"))
    assert not await book.is_open(at("2026-03-04 00:00:00"))
    assert not await book.is_open(at("2026-03-04 23:59:59"))
    assert await book.is_open(at("2026-03-05 00:00:00"))


@pytest.mark.req("AV-16")
async def test_who_finds_it_closed_for_long_is_told_when_it_opens(book: Book) -> None:
    """A holiday of three weeks: the next opening is known although it is far."""
    await book.write(
        weekly=WEEK,
        exceptions=[{"date": str(date(2026, 3, 10) + timedelta(days=n))} for n in range(21)],
    )
    plan = await book.plan(at("2026-03-11 00:00:00"))
    assert plan[1:] == [(at("2026-03-31 08:00:00"), True, None, None)]


@pytest.mark.req("AV-16")
async def test_hours_that_never_come_are_never_announced(book: Book) -> None:
    """Only one date in the past is open: closed, and no opening is promised."""
    every_day_closed = [{"date": str(date(2026, 1, 1) + timedelta(days=n))} for n in range(700)]
    await book.write(weekly=WEEK, exceptions=every_day_closed)
    now = at("2026-03-11 09:00:00")
    assert await book.plan(now) == [(now, False, "hours", None)]


@pytest.mark.req("AV-16")
async def test_the_switch_wins_until_its_end(book: Book) -> None:
    """It closes at once whatever the hours; at its end the hours decide again."""
    now, until = at("2026-03-03 12:00:00"), at("2026-03-03 23:00:00")
    await book.write(weekly=WEEK, switch=True, note="new database", until=until)

    assert (await book.plan(now))[:4] == [
        (now, False, "switch", "new database"),
        (until, False, "hours", None),
        (at("2026-03-04 08:00:00"), True, None, None),
        (at("2026-03-04 22:00:00"), False, "hours", None),
    ]
    assert (await book.plan(until - SECOND))[0][2] == "switch"
    assert (await book.plan(until))[0][2] == "hours"
    assert await book.is_open(at("2026-03-04 08:00:00"))


@pytest.mark.req("AV-16")
async def test_the_switch_without_an_end_stays(book: Book) -> None:
    """Nothing is planned behind it; always open otherwise, its end is the opening."""
    now = at("2026-03-03 12:00:00")
    await book.write(weekly=WEEK, switch=True)
    assert await book.plan(now) == [(now, False, "switch", None)]

    until = now + timedelta(days=40)
    await book.write(switch=True, until=until)
    assert await book.plan(now) == [(now, False, "switch", None), (until, True, None, None)]


@pytest.mark.req("AV-16")
async def test_hours_follow_the_clocks_of_their_place(book: Book) -> None:
    """In New York the morning comes an hour earlier after the second Sunday of March."""
    zone = "America/New_York"
    await book.write(zone=zone, weekly=WEEK)
    plan = await book.plan(at("2026-03-07 23:00:00", zone))
    assert [row[0].astimezone(UTC).hour for row in plan[1:3]] == [12, 2]
    before = await book.plan(at("2026-03-06 23:00:00", zone))
    assert before[1][0].astimezone(UTC).hour == 13


@pytest.mark.req("AV-16")
async def test_times_that_the_clocks_skip_or_show_twice(book: Book) -> None:
    """Skipped ones come as much later, of double ones the second counts, none breaks the plan."""
    zone = "America/New_York"
    await book.write(zone=zone, weekly=[{"day": 7, "opens": "02:30", "closes": "04:00"}])
    spring = await book.plan(at("2026-03-08 00:00:00", zone))
    assert [row[0].astimezone(UTC).time() for row in spring[1:3]] == [time(7, 30), time(8)]

    await book.write(zone=zone, weekly=[{"day": 7, "opens": "00:30", "closes": "01:30"}])
    autumn = await book.plan(at("2026-11-01 00:00:00", zone))
    assert [row[0].astimezone(UTC).time() for row in autumn[1:3]] == [time(4, 30), time(6, 30)]

    # It would begin at what has become 03:30 and end at 03:10: no opening on that one day.
    await book.write(zone=zone, weekly=[{"day": 7, "opens": "02:30", "closes": "03:10"}])
    nothing = await book.plan(at("2026-03-08 00:00:00", zone))
    assert nothing[1][0] == at("2026-03-15 02:30:00", zone)


@pytest.mark.req("AV-16")
async def test_no_version_is_ever_rewritten(book: Book) -> None:
    """Availability itself can only add versions: who did what stays readable."""
    for statement in (
        "UPDATE service_versions SET time_zone = 'UTC'",
        "DELETE FROM service_versions",
        "TRUNCATE service_versions",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with book.connection.transaction():
                await book.connection.execute(statement)


@pytest.mark.req("AV-16")
async def test_pairing_reads_the_plan_and_nothing_else(databases: Databases) -> None:
    """The published function is all that a neighbour gets."""
    database = await databases.shared()
    async with database.connect("pairing") as connection:
        (row,) = await connection.fetch("SELECT * FROM availability.service_plan_v1()")
        assert row["is_open"]
        for call in (
            "SELECT * FROM availability.service_plan_at(now())",
            "SELECT availability.opening_times('UTC', '[]', '[]', current_date, 1)",
            "SELECT * FROM availability.service_versions",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(call)


# --- the same hours, reckoned by Python's own time zones -----------------------------------------

MINUTES = st.integers(0, 24 * 4 - 1).map(lambda n: f"{n // 4:02d}:{n % 4 * 15:02d}")
WEEKLY = st.lists(
    st.fixed_dictionaries({"day": st.integers(1, 7), "opens": MINUTES, "closes": MINUTES}),
    max_size=6,
)
# Around the changes of the clocks in spring and autumn of both halves of the earth.
FIRST_DAYS = st.sampled_from(
    [date(2026, 3, 5), date(2026, 3, 26), date(2026, 4, 2), date(2026, 9, 3), date(2026, 10, 29)]
)


def _moment(day: date, hours: str, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, time.fromisoformat(hours))
    early = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    # Shown twice: the second one. Skipped: as the clocks were before they skipped.
    return max(early, late)


def open_by_hand(
    moment: datetime, zone: ZoneInfo, weekly: list[dict[str, Any]], closed: date, extra: date
) -> bool:
    """Look at each day around the moment; slow, and nothing like the SQL."""
    today = moment.astimezone(zone).date()
    for day in (today + timedelta(days=n) for n in range(-2, 3)):
        hours = [(w["opens"], w["closes"]) for w in weekly if w["day"] == day.isoweekday()]
        if not weekly:
            hours = [("00:00", "00:00")]
        if day == closed:
            hours = []
        if day == extra:
            hours = [("10:00", "11:00")]
        for opens, closes in hours:
            ends_on = day + timedelta(days=1) if closes <= opens else day
            if _moment(day, opens, zone) <= moment < _moment(ends_on, closes, zone):
                return True
    return False


@pytest.mark.req("AV-16")
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    zone=st.sampled_from(ZONES),
    weekly=WEEKLY,
    first=FIRST_DAYS,
    offset=st.integers(0, 6 * 86400),
    closed=st.integers(0, 7),
    extra=st.integers(8, 12),
)
async def test_every_moment_of_the_plan_is_right(
    book: Book,
    *,
    zone: str,
    weekly: list[dict[str, Any]],
    first: date,
    offset: int,
    closed: int,
    extra: int,
) -> None:
    """Open and closed as reckoned by hand: now, at each change, and a second before it."""
    place = ZoneInfo(zone)
    holiday, special = first + timedelta(days=closed), first + timedelta(days=extra)
    await book.write(
        zone=zone,
        weekly=weekly,
        exceptions=[
            {"date": str(holiday)},
            {"date": str(special), "opens": "10:00", "closes": "11:00"},
        ],
    )
    now = datetime.combine(first, time(), UTC) + timedelta(seconds=offset)
    plan = await book.plan(now)

    assert plan[0][0] == now
    for moment, is_open, _, _ in plan:
        assert is_open == open_by_hand(moment, place, weekly, holiday, special), moment
    for moment, is_open, _, _ in plan[1:]:
        before = open_by_hand(moment - SECOND, place, weekly, holiday, special)
        assert is_open != before, moment
