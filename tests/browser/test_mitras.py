"""The list of mitras: why one gets no requests, her time online, and taking her offline."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Locator, Route
from tests.browser.desk import Desk, eventually, until
from tests.browser.mitras import Mitras

pytestmark = pytest.mark.e2e

OpenDesk = Callable[..., Awaitable[Desk]]


async def look_at(page: Desk, name: str) -> Locator:
    """Open a mitra's drawer from her row, wherever in the list she is."""
    await page.page.get_by_role("radio", name="Online").check()
    await turn_to(page, name)
    await page.row(name).get_by_role("button", name="Why").click()
    drawer = page.page.locator("#drawer")
    await drawer.locator(".checks").wait_for()
    return drawer


async def turn_to(page: Desk, name: str) -> None:
    """Turn the pages of the list to the one that she is on."""
    drawn = page.page.locator("#mitras[aria-busy=false]")
    await drawn.wait_for()
    while not await page.row(name).count():
        await page.button("Next").click()
        await drawn.wait_for()


@pytest.mark.req("AV-13", "AV-14")
async def test_each_fact_is_shown_with_its_age(desk: OpenDesk, mitras: Mitras) -> None:
    """She gets requests: five facts in order, both stores agree, her time online is counted."""
    await mitras.arrive("Gita")
    page = await (await desk()).enter()

    drawer = await look_at(page, "Gita")

    await eventually(drawer.locator(".verdict"), "She gets requests now.")

    async def five_hold() -> bool:
        return await drawer.locator(".checks li.yes").count() == 5

    await until(five_hold)
    await eventually(drawer.locator("[data-name=online]"), "since ")
    await eventually(drawer.locator("[data-name=fresh]"), "last heartbeat")
    await eventually(drawer.locator("[data-name=load]"), "0 of 2 slots taken")
    await eventually(drawer.locator(".compare"), "Both say the same.")
    await eventually(drawer.locator(".times-body"), "in all")
    await drawer.locator("summary").click()
    await eventually(drawer.locator(".versions"), "still online")


@pytest.mark.req("AV-13")
async def test_an_operator_takes_a_mitra_offline(desk: OpenDesk, mitras: Mitras) -> None:
    """It asks first; then the reason stands in the panel and in the list, and it was done."""
    gita = await mitras.arrive("Hesti")
    page = await (await desk()).enter()
    drawer = await look_at(page, "Hesti")

    await page.button("Take her offline").click()
    await eventually(page.page.locator("#ask"), "Take Hesti offline?")
    mitras.online.remove(gita)  # her app beats no more
    await page.button("Take offline").click()

    await eventually(drawer.locator(".verdict"), "She gets no requests now")
    await eventually(drawer.locator("[data-name=online]"), "She is offline: an operator")
    await eventually(drawer.locator("[data-name=online]"), "She has to go online in her app.")
    assert not (await gita.call("GET", "/api/mitra/status"))["is_online"]
    await page.page.keyboard.press("Escape")
    await page.page.get_by_role("radio", name="Offline").check()
    await turn_to(page, "Hesti")
    await eventually(page.row("Hesti"), "an operator")


async def test_the_list_has_pages(desk: OpenDesk) -> None:
    """Next and back go through the list a page at a time; the ends of it are ends."""
    page = await desk()

    async def two_at_a_time(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("limit=20", "limit=2"))

    await page.page.route("**/availability/mitras?*", two_at_a_time)
    await page.enter()
    rows = page.page.locator("#mitras tbody tr")
    first = await rows.first.inner_text()
    assert await page.button("Back").is_disabled()

    await page.button("Next").click()
    await eventually(page.page.locator("#mitras .pages"), "Page 2")
    assert await rows.first.inner_text() != first
    await page.button("Back").click()

    await eventually(page.page.locator("#mitras .pages"), "Page 1")
    assert (await rows.first.inner_text()).split()[0] == first.split()[0]
