"""The mirror's drift as operators see it, and rebuilding it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import valkey.asyncio
from playwright.async_api import Route
from tests.browser.desk import Desk, eventually
from tests.browser.mitras import Mitras
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.req("AV-15")]

OpenDesk = Callable[..., Awaitable[Desk]]


async def test_drift_is_listed_with_its_cause(desk: OpenDesk, mitras: Mitras, stack: Stack) -> None:
    """A load that is wrong in Valkey is healed and listed: fact, both values, cause."""
    mitra = await mitras.arrive("Indah")
    page = await (await desk()).enter()
    server = next(s.part for s in stack.launched.supervisors if s.part.name == "valkey")

    async with valkey.asyncio.Valkey.from_url(server.url) as store:
        await store.hset("{mitras}:load", mitra.user["user_id"], "2/2")

    # Whether she is offered no longer follows from it: that is a second line of hers.
    about_load = page.page.locator("td.fact", has_text="load")
    row = page.page.locator("#mirror tbody tr", has_text="Indah").filter(has=about_load).first
    await eventually(row, "held a wrong value", within=60)
    assert await row.locator(".held").inner_text() == "2/2"
    assert await row.locator(".true").inner_text() == "0/2"
    # Whichever comes first here: the comparison, or the sweeper's rebuild every five seconds.
    await eventually(row, "healed by ")


async def test_the_mirror_is_rebuilt_on_demand(desk: OpenDesk) -> None:
    """It asks first, shows how far it is, and says what it did."""
    page = await (await desk()).enter()

    await page.button("Rebuild the mirror").click()
    await eventually(page.page.locator("#ask"), "nothing newer is overwritten")
    await page.button("Rebuild").click()

    await eventually(page.page.locator("#mirror .progress"), "The mirror is rebuilt:", within=60)


async def answered(desk: Desk, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Let the page be answered as the service would if its mirror were otherwise."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        body = await response.json()
        if response.ok:
            change(body)
        await route.fulfill(response=response, json=body)

    await desk.page.route(f"**/api/control/availability/{path}", answer)


async def test_what_helps_is_told_in_both_languages(desk: OpenDesk) -> None:
    """A deaf mirror has two causes; that Valkey may evict it is told beside."""

    def deaf(body: dict[str, Any]) -> None:
        body["mirror"].update(
            state="deaf",
            reason="no beat comes",
            reason_code="deaf",
            advice="raw",
            advice_codes=["deaf", "eviction"],
        )

    page = await desk()
    for path in ("summary", "drift?*"):
        await answered(page, path, deaf)
    await page.enter()
    banner, advice = page.page.locator("#banner"), page.page.locator("#mirror .todo")

    await eventually(banner, "Either they have lost their connection, or")
    await eventually(advice.first, "With many, see whether Valkey hangs")
    await eventually(advice.last, "set Valkey's maxmemory-policy to noeviction")
    await page.page.get_by_role("button", name="Bahasa Indonesia").click()
    await eventually(banner, "Mereka kehilangan koneksi, atau")
    await eventually(advice.first, "Jika banyak, periksa apakah Valkey macet")
    await eventually(advice.last, "setel maxmemory-policy Valkey ke noeviction")
    for place in (banner, page.page.locator("#mirror .facts")):
        await eventually(place, "tidak satu pun yang daring terdengar. no beat comes")
    assert await banner.locator("code").get_attribute("lang") == "en"


async def test_a_rebuild_that_was_lost_says_so_in_her_language(desk: OpenDesk) -> None:
    """What went wrong in Indonesian, and the engineers' own words as a detail."""

    def lost(body: dict[str, Any]) -> None:
        body.update(state="failed", error="The replica is gone.", error_code="lost")

    page = await desk()
    await answered(page, "reseeds/*", lost)
    await page.enter()
    await page.page.get_by_role("button", name="Bahasa Indonesia").click()
    await page.button("Bangun ulang cermin").click()
    await page.button("Bangun ulang").click()
    progress = page.page.locator("#mirror .progress")

    await eventually(progress, "Replika yang membangunnya sudah tidak ada.", within=60)
    assert await progress.locator("code").inner_text() == "The replica is gone."
