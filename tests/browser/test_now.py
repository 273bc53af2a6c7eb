"""The numbers of now: live, with their age, and honest about who answered."""

from collections.abc import Awaitable, Callable

import pytest
from tests.browser.desk import Desk, eventually, until
from tests.browser.mitras import Mitras
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.mark.req("AV-12", "AV-11")
async def test_the_numbers_are_live(desk: OpenDesk, mitras: Mitras) -> None:
    """Who goes online is counted without a reload, and customers' beacon says so."""
    page = await (await desk()).enter()

    async def shown() -> tuple[int, int]:
        return await page.number("online"), await page.number("available")

    async def nobody() -> bool:
        return await shown() == (0, 0)

    async def both() -> bool:
        return await shown() == (2, 2)

    await until(nobody, within=60)  # those of tests before, too, are offline by then

    await mitras.arrive("Anggun")
    await mitras.arrive("Citra")

    await until(both)
    beacon = page.page.locator("#beacon .beacon-says")
    await eventually(beacon, "2 mitras are ready")
    await eventually(page.page.locator("#numbers .stamp"), "ago · from the mirror")
    await page.page.get_by_role("button", name="Bahasa Indonesia").click()
    await eventually(beacon, "2 mitra siap")


@pytest.mark.req("AV-07", "AV-12")
async def test_a_banner_says_that_postgres_answers(
    desk: OpenDesk, mitras: Mitras, stack: Stack
) -> None:
    """While Valkey hangs the numbers go on and the banner says why and what to do; then it goes."""
    await mitras.arrive("Dian")
    page = await (await desk()).enter()
    banner = page.page.locator("#banner")
    await banner.wait_for(state="hidden")
    valkey = next(s.part for s in stack.launched.supervisors if s.part.name == "valkey")

    valkey.freeze()
    try:
        await eventually(banner, "Postgres answers in place of the mirror.")
        await eventually(banner, "What to do: see that Valkey")
        await eventually(page.page.locator("#numbers .stamp"), "from Postgres")
        assert await page.number("online") >= 1
        await eventually(page.page.locator("#mirror .badge"), "Mirror is away")
    finally:
        valkey.thaw()

    await banner.wait_for(state="hidden", timeout=60_000)
    await eventually(page.page.locator("#mirror .badge"), "Mirror is in order")


async def test_a_page_without_answers_says_so_and_recovers(desk: OpenDesk) -> None:
    """Cut off, the page keeps the last numbers, says what to do, tries again, and is live again."""
    page = await desk(alone=True)
    await page.page.clock.install()
    await page.enter()
    link = page.page.locator("#link")
    await eventually(link, "Live")
    page.refusals_are_expected = True

    await page.page.route("**/api/**", lambda route: route.abort())
    await eventually(link, "Not up to date. Next try in")
    problem = page.page.locator("#cut")
    await eventually(problem, "No connection to Temani. Check your network")
    assert await page.number("online") >= 0

    again = problem.get_by_role("button", name="Try again")
    await again.focus()
    for _ in range(3):
        await page.page.wait_for_event("requestfailed")
    assert await again.evaluate("button => button === document.activeElement")
    # From here the page's own next try never comes; one already on its way may still be first.
    await page.page.clock.pause_at(await page.page.evaluate("Date.now() + 60_000"))
    await page.page.unroute_all(behavior="wait")
    await page.page.keyboard.press("Enter")
    await problem.wait_for(state="hidden")
    await page.page.clock.resume()
    await eventually(link, "Live")


async def test_a_page_that_fails_asks_less_and_less(desk: OpenDesk) -> None:
    """The waits double up to half a minute, never before the service's own Retry-After."""
    page = await desk()

    waits = await page.page.evaluate(
        """import("/control/app/poll.js").then(({ wait }) => ({
             calm: wait(2, 0), slower: [1, 2, 3, 4, 9].map((fails) => wait(2, fails, 0, .5)),
             early: wait(2, 1, 0, 0), late: wait(2, 1, 0, 1), told: wait(2, 1, 60, 0) }))"""
    )

    assert waits == {"calm": 2, "slower": [4, 8, 16, 30, 30], "early": 3, "late": 5, "told": 60}


async def test_lengths_of_time_are_read_at_a_glance(desk: OpenDesk) -> None:
    """Two units at most, and none that says nothing."""
    page = await desk()

    said = await page.page.evaluate(
        """import("/control/app/clock.js").then(({ length }) =>
             [0, 59, 60, 65, 300, 3600, 11520, 86400, 2 * 86400 + 3 * 3600 + 59].map(length))"""
    )

    assert said == [
        "0 s",
        "59 s",
        "1 min",
        "1 min 5 s",
        "5 min",
        "1 h",
        "3 h 12 min",
        "1 d",
        "2 d 3 h",
    ]
