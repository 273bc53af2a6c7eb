"""How the page looks and reads: both languages, phone and desk, light and dark, by keyboard."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page
from tests.browser.desk import Desk, eventually
from tests.browser.mitras import Mitras

pytestmark = [pytest.mark.e2e, pytest.mark.req("WE-03")]

OpenDesk = Callable[..., Awaitable[Desk]]
# SCREENSHOTS=folder keeps a picture of each view that is looked at.
PICTURES = os.environ.get("SCREENSHOTS")
PHONE, DESK = 390, 1440


async def looked_at(page: Page, name: str, *, whole: bool = False) -> None:
    """Let axe look for what keeps people out; keep a picture if one is wanted."""
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=whole)


@pytest.mark.parametrize(
    ("look", "title"),
    [
        ({"language": "id-ID", "width": PHONE}, "Ketersediaan"),
        ({"language": "en-US", "width": DESK, "dark": True}, "Availability"),
    ],
    ids=["phone", "desk"],
)
async def test_every_view_is_usable(
    desk: OpenDesk, mitras: Mitras, look: dict[str, object], title: str
) -> None:
    """At this width and in this language nothing sticks out, and axe finds nothing."""
    await mitras.arrive("Kirana")
    page = await desk(**look)
    name = f"{look['language']}-{look['width']}"
    await looked_at(page.page, f"{name}-door")
    await page.enter()

    assert await page.page.locator("#desk > h1").inner_text() == title
    await looked_at(page.page, f"{name}-desk", whole=True)
    assert await page.fits()
    await page.page.locator("#mitras tbody button.name").first.click()
    await page.page.locator(
        "#drawer .times-body .total, #drawer .times-body .soft"
    ).first.wait_for()
    await looked_at(page.page, f"{name}-drawer")
    await page.page.keyboard.press("Escape")
    await page.page.locator("#hours .head button").first.click()
    await page.page.locator("#editor .add").click()
    await looked_at(page.page, f"{name}-editor")
    await page.page.keyboard.press("Escape")
    await page.page.locator("#ask button[type=submit]").click()  # yes, discard what was added
    await page.page.locator("#hours .head button").last.click()
    await looked_at(page.page, f"{name}-ask")

    assert await page.fits()
    assert page.foreign == []


async def test_the_language_changes_everywhere_and_is_kept(desk: OpenDesk) -> None:
    """One press and everything that was drawn speaks Indonesian; so does the next visit."""
    page = await (await desk()).enter()
    await eventually(page.page.locator("#hours-title"), "Service hours")

    await page.page.get_by_role("button", name="Bahasa Indonesia").click()

    for place, word in {
        "#desk > h1": "Ketersediaan",
        "#beacon": "Yang dilihat pelanggan",
        "#numbers": "Terjangkau",
        "#hours-title": "Jam layanan",
        "#mirror-title": "Cermin dan selisih",
        "#mitras thead": "Detak terakhir",
        "#link": "Langsung",
    }.items():
        await eventually(page.page.locator(place), word)
    assert await page.page.evaluate("document.documentElement.lang") == "id"
    assert await page.page.title() == "Ketersediaan · Temani"
    await page.page.reload()
    await eventually(page.page.locator("#sign-in-title"), "Masuk")


async def test_the_keyboard_is_enough(desk: OpenDesk) -> None:
    """Skip link, Enter on a name, Escape from the drawer: the focus comes back to the name."""
    page = await desk()
    assert await page.page.evaluate("document.activeElement.id") == "email"
    await page.enter()
    name = page.page.locator("#mitras tbody button.name").first

    await name.focus()
    await page.page.keyboard.press("Enter")
    await page.page.locator("#drawer .checks").wait_for()
    inside = "document.querySelector('#drawer').contains(document.activeElement)"
    assert await page.page.evaluate(inside)
    await page.page.keyboard.press("Escape")

    await page.page.locator("#drawer").wait_for(state="hidden")
    assert await name.evaluate("node => node === document.activeElement")
    # The list is drawn anew every few seconds; whoever is at a name stays there.
    async with page.page.expect_response(lambda answer: "/availability/mitras?" in answer.url):
        pass
    assert await name.evaluate("node => node === document.activeElement")
