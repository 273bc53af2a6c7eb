"""The mirror's drift as operators see it, and rebuilding it."""

from collections.abc import Awaitable, Callable

import pytest
import valkey.asyncio
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
