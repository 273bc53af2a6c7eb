"""A sweep that was stopped: seen above the numbers, and released by an operator's second look."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from tests.browser.desk import Desk, eventually, until
from tests.browser.mitras import Mitras
from tests.browser.test_look import PHONE, looked_at
from tests.e2e.person import Person, Refused
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.req("SW-01", "WE-03")]

OpenDesk = Callable[..., Awaitable[Desk]]


async def fall_silent(gone: list[Person], mitras: Mitras, stack: Stack) -> None:
    """Let all be silent for too long before the sweep looks again: a few at a time just go."""
    sweeper = next(s.part for s in stack.launched.supervisors if s.part.name == "sweeper")
    limit = float(stack.launched.profile.settings["AUTO_OFFLINE_SECONDS"])

    async def too_long() -> bool:
        paths = [f"/api/control/availability/mitras/{one.user['user_id']}" for one in gone]
        try:
            held = [(await mitras.operator.call("GET", path))["mirror"]["holds"] for path in paths]
        except Refused:  # a busy machine asks for a moment
            return False
        beats = [one and datetime.fromisoformat(one["last_heartbeat_at"]) for one in held]
        return all(beat and (datetime.now(UTC) - beat).total_seconds() > limit for beat in beats)

    sweeper.process.freeze()
    try:
        mitras.silent += gone
        await until(too_long, within=120)
    finally:
        sweeper.process.thaw()


async def test_an_operator_releases_the_brake(desk: OpenDesk, mitras: Mitras, stack: Stack) -> None:
    """Six of seven fall silent: nobody goes offline until she has looked twice; by keyboard."""
    page = await (await desk()).enter()

    async def online() -> int:
        return await page.number("online")

    async def nobody() -> bool:
        return await online() == 0

    await until(nobody, within=60)  # those of tests before, too, are offline by then
    await mitras.arrive("Laras")
    gone = [
        await mitras.arrive(name) for name in ("Maya", "Nadia", "Olla", "Putri", "Ratna", "Ira")
    ]
    await fall_silent(gone, mitras, stack)
    brake = page.page.locator("#brake")

    await eventually(brake, "6 of 7 online mitras have been silent", within=60)
    await eventually(brake, "1 of 7 are heard")
    await eventually(brake, "Nobody is taken offline until")
    await looked_at(page.page, "en-US-1440-brake")
    await page.page.get_by_role("button", name="Bahasa Indonesia").click()
    await page.page.set_viewport_size({"width": PHONE, "height": 844})
    await eventually(brake, "6 dari 7 mitra daring")
    await looked_at(page.page, "id-ID-390-brake")
    assert await page.fits()
    assert await online() == 7

    await brake.get_by_role("button").focus()
    await page.page.keyboard.press("Enter")
    await eventually(page.page.locator("#ask"), "Luringkan 6 mitra")
    await looked_at(page.page, "id-ID-390-brake-ask")
    await page.page.keyboard.press("Escape")
    await page.page.locator("#ask").wait_for(state="hidden")
    # The focus is back at the button; what is asked now is about the brake of now.
    await page.page.keyboard.press("Enter")
    await eventually(page.page.locator("#ask"), "Luringkan 6 mitra")
    await page.page.keyboard.press("Tab")
    await page.page.keyboard.press("Enter")

    await eventually(page.page.locator("#notes"), "Dipastikan: 6 mitra")
    await brake.wait_for(state="hidden")

    async def one() -> bool:
        return await online() == 1

    await until(one)
