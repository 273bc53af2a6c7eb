"""Small kindnesses of the operators' page: nothing sticks out, nothing typed is lost."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route
from tests.browser.desk import Desk, eventually, until
from tests.browser.mitras import Mitras

pytestmark = [pytest.mark.e2e, pytest.mark.req("WE-03")]

OpenDesk = Callable[..., Awaitable[Desk]]
ROSTER = "**/api/control/availability/mitras?*"
ALL = "**/api/control/availability/**"


def mitra(number: int, **facts: object) -> dict[str, Any]:
    """Return a line of the list as the service sends it."""
    return {
        "mitra_id": f"0190b4c0-0000-7000-8000-{number:012d}",
        "display_name": f"Mitra {number}",
        "is_online": False,
        "is_active": True,
        "reachable": False,
        "available": False,
        "load": 0,
        "capacity": 3,
        "last_heartbeat_at": None,
        "went_online_at": None,
        "offline_reason": None,
        **facts,
    }


async def with_roster(page: Page, items: list[dict[str, Any]]) -> None:
    """Let the list hold these mitras, twenty a page, as the service would."""

    async def answer(route: Route) -> None:
        _, _, after = route.request.url.partition("cursor=")
        first = next((i + 1 for i, each in enumerate(items) if each["mitra_id"] == after), 0)
        shown = items[first : first + 20]
        cursor = shown[-1]["mitra_id"] if len(shown) == 20 else None
        await route.fulfill(json={"items": shown, "next_cursor": cursor})

    await page.route(ROSTER, answer)


async def press_beside(page: Page, dialog: Locator) -> None:
    """Click at the left edge of the window, where no dialog is."""
    await dialog.wait_for()
    await page.mouse.click(5, 200)


@pytest.mark.parametrize("width", [390, 800, 1440])
async def test_a_long_name_stays_in_its_place(desk: OpenDesk, width: int) -> None:
    """Eighty letters without a space are broken, on any width, in the list and in the panel."""
    page = await desk(width=width)
    await with_roster(page.page, [mitra(1, display_name="X" * 80)])

    await page.enter()

    assert await page.fits()


async def test_no_mitras_is_a_sentence(desk: OpenDesk) -> None:
    """An empty list says so, without a table's head or pages to turn."""
    page = await desk()
    await with_roster(page.page, [])
    await page.sign_in()

    await eventually(page.page.locator("#mitras .empty"), "There are no mitras yet.")

    assert (
        await page.page.locator("#mitras table, #mitras .pages").locator("visible=true").count()
        == 0
    )


async def test_another_choice_claims_nothing_before_its_answer(desk: OpenDesk) -> None:
    """From "nobody is online" to all: it loads, and does not say that there are no mitras."""
    page = await desk()
    await with_roster(page.page, [])
    await page.sign_in()
    await eventually(page.page.locator("#mitras .empty"), "There are no mitras yet.")

    await page.hold(ROSTER)
    await page.page.get_by_role("radio", name="Online").check()

    assert await page.page.locator("#mitras .empty").inner_text() == "Loading…"


async def test_a_full_last_page_does_not_deny_the_mitras(desk: OpenDesk) -> None:
    """Twenty mitras are one full page; the page after it says that there are no more."""
    page = await desk()
    await with_roster(page.page, [mitra(number) for number in range(20)])
    await page.enter()

    await page.button("Next").click()

    await eventually(page.page.locator("#mitras .empty"), "There are no more")


async def test_two_quick_presses_turn_one_page(desk: OpenDesk) -> None:
    """Who presses Next again before the page is there does not see the same page twice."""
    page = await desk()
    await with_roster(page.page, [mitra(number) for number in range(300)])
    await page.enter()
    # Of the second page only: the first one is asked for again and again by the page itself.
    held = await page.hold(f"{ROSTER}cursor=*", times=1)

    async def is_held() -> bool:
        return bool(held)

    await page.button("Next").click()
    await until(is_held)
    assert "Page 1" in await page.page.locator("#mitras .pages").inner_text()  # as the rows
    await page.button("Next").click()
    await held[0].fallback()

    await eventually(page.page.locator("#mitras tbody tr"), "Mitra 20")
    await eventually(page.page.locator("#mitras .pages"), "Page 2")


async def test_before_the_first_answer_nothing_is_claimed(desk: OpenDesk) -> None:
    """While the services think the page says that it loads, and there is no page to turn."""
    page = await desk()
    await page.hold(ALL)
    await page.sign_in()

    await eventually(page.page.locator("#link"), "Connecting")
    await eventually(page.page.locator("#mitras"), "Loading")
    assert not await page.button("Next").is_visible()


async def test_a_cut_is_told_once(desk: OpenDesk) -> None:
    """What every part of the page misses stands above them, with one button, until it is back."""
    page = await (await desk()).enter()
    page.refusals_are_expected = True

    await page.page.context.set_offline(True)

    await eventually(page.page.locator("#cut"), "No connection to Temani")
    assert await page.page.locator("#desk .problem").locator("visible=true").count() == 1
    assert await page.page.get_by_role("button", name="Try again").count() == 1
    # Not by that button: the page tries again by itself, and takes it away.
    await page.page.context.set_offline(False)
    await page.page.locator("#cut").wait_for(state="hidden")
    await eventually(page.page.locator("#link"), "Live")


async def test_at_the_door_nothing_tries_again_by_itself(desk: OpenDesk) -> None:
    """Without a connection the door says who has to try again: the person."""
    page = await desk()
    page.refusals_are_expected = True
    await page.page.route("**/api/**", lambda route: route.abort())

    await page.sign_in()

    problem = page.page.locator("#sign-in-problem")
    await eventually(problem, "then try again")
    assert "by itself" not in await problem.inner_text()


async def test_a_double_click_opens_a_mitra(desk: OpenDesk, mitras: Mitras) -> None:
    """The second press of a double click does not close what the first one opened."""
    await mitras.arrive("Larasati")
    page = await (await desk()).enter()

    await page.page.locator("#mitras tbody tr .beat").first.dblclick()

    await page.page.locator("#drawer .checks").wait_for()
    await press_beside(page.page, page.page.locator("#drawer"))
    await page.page.locator("#drawer").wait_for(state="hidden")


async def test_marking_text_beyond_a_dialog_keeps_it(desk: OpenDesk) -> None:
    """A press that begins in a field and ends beside the dialog is no wish to close it."""
    page = await (await desk()).enter()
    await page.button("Close the service").click()
    note = page.page.get_by_label("Note for colleagues")
    await note.fill("New servers")
    box = await note.bounding_box()
    assert box is not None

    await page.page.mouse.move(box["x"] + 50, box["y"] + 10)
    await page.page.mouse.down()
    await page.page.mouse.move(5, 200)
    await page.page.mouse.up()

    assert await note.input_value() == "New servers"
    assert await note.is_visible()


async def test_typed_hours_are_not_lost_by_accident(desk: OpenDesk) -> None:
    """Escape, Cancel and a press beside the editor ask first, but only when something changed."""
    page = await (await desk()).enter()
    editor, asked = page.page.locator("#editor"), page.page.locator("#ask")
    edit = page.button("Edit hours")
    await edit.click()
    await page.page.keyboard.press("Escape")
    await editor.wait_for(state="hidden")

    await edit.click()
    await page.button("Add hours").click()
    await page.page.keyboard.press("Escape")
    await eventually(asked, "Discard what you changed?")
    await page.button("Cancel").click()
    assert await editor.locator(".line").count() == 1
    await press_beside(page.page, editor)
    await eventually(asked, "Discard what you changed?")
    await page.button("Discard").click()

    await editor.wait_for(state="hidden")
    assert await edit.evaluate("node => node === document.activeElement")


async def test_what_has_the_focus_is_not_covered(desk: OpenDesk) -> None:
    """On a phone the editor scrolls a new line's field above the buttons that stay in sight."""
    page = await (await desk(width=390, height=600)).enter()
    await page.button("Edit hours").click()
    for _ in range(4):
        await page.button("Add a date").click()

    field = await page.page.locator("#editor input:focus").bounding_box()
    buttons = await page.page.locator("#editor form > .buttons").bounding_box()

    assert field is not None
    assert buttons is not None
    assert field["y"] + field["height"] <= buttons["y"]


async def test_the_own_scroll_bar_closes_nothing(desk: OpenDesk, mitras: Mitras) -> None:
    """A press on the panel itself, as on its scroll bar, is no press beside it."""
    await mitras.arrive("Puspa")
    page = await (await desk(height=400)).enter()
    await page.page.locator("#mitras tbody button.name").first.click()
    await page.page.locator("#drawer .checks").wait_for()

    # The test's browser hides scroll bars, so the presses are made as a bar would make them.
    await page.page.locator("#drawer").evaluate(
        """drawer => { for (const kind of ["pointerdown", "click"]) drawer.dispatchEvent(
             new PointerEvent(kind, { clientX: innerWidth - 4, clientY: 200, bubbles: true })) }"""
    )

    assert await page.page.locator("#drawer").is_visible()


async def test_a_half_typed_end_is_not_read_as_none(desk: OpenDesk) -> None:
    """Who typed a day without a time meant an end: the switch is not thrown without one."""
    page = await (await desk()).enter()
    sent: list[str] = []
    page.on_request(lambda each: sent.append(each.method))
    await page.button("Close the service").click()

    await page.page.get_by_label("Open again by itself").press_sequentially("12")
    await page.button("Close now").click()

    await eventually(page.page.locator("#ask .problem"), "only half filled in")
    assert "PUT" not in sent


async def test_a_note_is_seen_over_the_panel(desk: OpenDesk, mitras: Mitras) -> None:
    """What was done is told where one looks and listens: inside of the open panel."""
    one = await mitras.arrive("Melati")
    page = await (await desk()).enter()
    await page.page.get_by_role("radio", name="Online").check()
    await page.row("Melati").get_by_role("button", name="Why").click()
    await page.page.locator("#drawer .checks").wait_for()
    mitras.online.remove(one)
    await page.button("Take her offline").click()

    await page.button("Take offline").click()

    await eventually(page.page.locator("#drawer .note"), "Melati is offline.")
