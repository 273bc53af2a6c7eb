"""Which hours cannot be meant: decided without a server."""

from datetime import date

import pytest

from availability.domain import DateHours, Opening, Span, clashing, overlapping


def week(*openings: tuple[int, str, str]) -> list[Opening]:
    """Write weekly hours."""
    return [Opening(day, Span.read(opens, closes)) for day, opens, closes in openings]


def dates(*hours: tuple[int, str, str] | int) -> list[DateHours]:
    """Write exceptions of days in March 2026; a bare number is a closed day."""
    return [
        DateHours(date(2026, 3, h), None)
        if isinstance(h, int)
        else DateHours(date(2026, 3, h[0]), Span.read(h[1], h[2]))
        for h in hours
    ]


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    "openings",
    [
        (),
        ((1, "00:00", "00:00"),),
        ((1, "08:00", "12:00"), (1, "12:00", "18:00")),
        ((2, "20:00", "02:00"), (3, "02:00", "04:00")),
        ((7, "20:00", "02:00"), (1, "02:00", "04:00")),
        tuple((day, "00:00", "00:00") for day in range(7, 0, -1)),
        tuple((day, "06:00", "06:00") for day in range(1, 8)),
    ],
)
def test_hours_that_meet_do_not_overlap(openings: tuple[tuple[int, str, str], ...]) -> None:
    """An opening may begin in the minute in which another ends, also round the week."""
    assert overlapping(week(*openings)) is None


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    ("openings", "second"),
    [
        (((1, "08:00", "12:00"), (1, "11:59", "18:00")), (1, "11:59")),
        (((1, "08:00", "12:00"), (1, "08:00", "12:00")), (1, "08:00")),
        (((3, "01:59", "04:00"), (2, "20:00", "02:00")), (3, "01:59")),
        (((1, "01:59", "04:00"), (7, "20:00", "02:00")), (1, "01:59")),
        (((1, "00:00", "00:00"), (1, "10:00", "11:00")), (1, "10:00")),
        (((7, "06:00", "06:00"), (1, "05:00", "07:00")), (1, "05:00")),
    ],
)
def test_hours_that_overlap_are_named(
    openings: tuple[tuple[int, str, str], ...], second: tuple[int, str]
) -> None:
    """The one that begins too early is the one to change."""
    found = overlapping(week(*openings))
    assert found is not None
    assert (found.day, f"{found.span.opens:%H:%M}") == second


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    "hours",
    [
        (),
        (4, 5, 6),
        ((4, "20:00", "02:00"), 5, (6, "00:00", "00:00")),
        ((4, "20:00", "02:00"), (5, "02:00", "03:00"), (5, "03:00", "04:00")),
    ],
)
def test_exceptions_that_go_together(hours: tuple[tuple[int, str, str] | int, ...]) -> None:
    """Closed days beside open ones, several openings a day, a night into a closed day."""
    assert clashing(dates(*hours)) is None


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    ("hours", "day"),
    [
        ((4, 4), 4),
        (((4, "08:00", "09:00"), 4), 4),
        (((4, "00:00", "09:00"), 4), 4),
        (((4, "08:00", "10:00"), (4, "09:59", "11:00")), 4),
        (((4, "20:00", "02:00"), (5, "01:59", "03:00")), 5),
    ],
)
def test_exceptions_that_clash_are_named(
    hours: tuple[tuple[int, str, str] | int, ...], day: int
) -> None:
    """A date is open or closed, and its hours follow each other."""
    assert clashing(dates(*hours)) == date(2026, 3, day)
