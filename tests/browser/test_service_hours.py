"""Service hours and the maintenance switch, closed and opened by hand; it is left open."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.browser.desk import Desk, eventually
from tests.e2e.person import Json, Person

pytestmark = [pytest.mark.e2e, pytest.mark.req("AV-16")]

OpenDesk = Callable[..., Awaitable[Desk]]
HOURS = "/api/control/availability/service-hours"
DASH = "\N{EN DASH}"
SWITCH = "/api/control/availability/maintenance"


@pytest.fixture
async def left_open(operator: Person) -> AsyncIterator[Json]:
    """Whatever happens in between, the service ends as it was: open, with the hours it had."""
    before = await operator.call("GET", HOURS)
    yield before
    await operator.call("PUT", SWITCH, {"on": False})
    now = await operator.call("GET", HOURS)
    kept = {name: before[name] for name in ("time_zone", "weekly", "exceptions")}
    await operator.call("PUT", HOURS, {"version": now["version"], **kept})


async def test_the_switch_closes_and_opens(
    desk: OpenDesk, operator: Person, left_open: Json
) -> None:
    """Closing asks first and says what it does not touch; then it is shown, with its note."""
    page = await (await desk()).enter()
    state = page.page.locator("#hours .statement")
    await eventually(state, "Open")

    await page.button("Close the service").click()
    await eventually(page.page.locator("#ask"), "Sessions and requests under way go on")
    await page.button("Cancel").click()
    assert (await operator.call("GET", HOURS))["now"]["is_open"]

    await page.button("Close the service").click()
    await page.page.get_by_label("Note for colleagues").fill("New servers")
    await page.button("Close now").click()
    await eventually(state, "Closed")
    await eventually(page.page.locator("#hours"), "New servers")
    await eventually(page.page.locator("#beacon .beacon-says"), "Closed")
    assert (await operator.call("GET", HOURS))["maintenance"]["note"] == "New servers"

    await page.page.locator("#hours summary").click()
    await eventually(
        page.page.locator("#hours .versions"), f"Closed by the switch {DASH} New servers"
    )
    await page.button("Open again").click()
    await page.button("Open now").click()
    await eventually(state, "Open")
    await eventually(page.page.locator("#hours .versions"), "Switch turned off")


async def test_hours_are_edited_with_a_second_look(
    desk: OpenDesk, operator: Person, left_open: Json
) -> None:
    """What cannot be is refused in words, and nothing typed is lost; what can is shown."""
    page = await (await desk()).enter()
    editor = page.page.locator("#editor")

    await page.button("Edit hours").click()
    for _ in range(2):
        await page.button("Add hours").click()
    lines = editor.locator(".line")
    await lines.nth(1).get_by_label("Day").select_option("Monday")
    await page.button("Save…").click()
    page.refusals_are_expected = True
    await page.button("Save and apply").click()
    await eventually(page.page.locator("#ask"), "The hours of Monday from 08:00 begin before")
    await page.button("Cancel").click()

    await lines.nth(1).get_by_label("Day").select_option("Sunday")
    await lines.nth(1).get_by_label("Opens").fill("22:30")
    await lines.nth(1).get_by_label("Closes").fill("02:00")
    await page.button("Save…").click()
    await page.button("Save and apply").click()
    await editor.wait_for(state="hidden")

    week = page.page.locator("#hours .week li")
    await eventually(week.nth(0), f"08:00{DASH}22:00")
    await eventually(week.nth(6), f"22:30{DASH}02:00")
    await eventually(week.nth(2), "closed")
    # What lasts past midnight is drawn on the day after, too.
    assert await week.nth(0).locator(".track i").count() == 2
    stored = (await operator.call("GET", HOURS))["weekly"]
    assert stored == [
        {"day": 1, "opens": "08:00", "closes": "22:00"},
        {"day": 7, "opens": "22:30", "closes": "02:00"},
    ]


async def test_two_who_edit_at_once_notice_each_other(
    desk: OpenDesk, operator: Person, left_open: Json
) -> None:
    """Who saves second is told, keeps what she typed, and replaces it only by saving again."""
    page = await (await desk()).enter()
    page.refusals_are_expected = True
    await page.button("Edit hours").click()
    await page.button("Add hours").click()
    kept = {name: left_open[name] for name in ("time_zone", "weekly")}
    theirs = {"version": left_open["version"], **kept, "exceptions": [{"date": "2031-12-25"}]}
    await operator.call("PUT", HOURS, theirs)

    await page.button("Save…").click()
    await page.button("Save and apply").click()
    await eventually(page.page.locator("#ask"), "Somebody else changed the service hours meanwhile")
    assert (await operator.call("GET", HOURS))["weekly"] == []

    await page.button("Save and apply").click()
    await page.page.locator("#editor").wait_for(state="hidden")
    assert len((await operator.call("GET", HOURS))["weekly"]) == 1


async def test_unfinished_hours_are_named_before_anybody_is_asked(
    desk: OpenDesk, left_open: Json
) -> None:
    """A line without a time is a question to the operator, not to the service."""
    page = await (await desk()).enter()

    await page.button("Edit hours").click()
    await page.button("Add a date").click()
    await page.button("Save…").click()

    await eventually(page.page.locator("#editor .problem"), "Some hours are unfinished")
    assert await page.page.locator("#ask").is_hidden()
