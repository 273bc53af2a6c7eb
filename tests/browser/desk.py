"""An operator's browser as the tests drive it: what she sees and does, not how it is built."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Self

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request
from tests.e2e.stack import Stack

Language = Literal["en-US", "id-ID"]
# Chromium itself writes a line for each answer that is no success; a test that provokes one
# says so with `expected`.
_REFUSED = "Failed to load resource"


@dataclass
class Desk:
    """One page in a profile of its own, and everything that went wrong in it."""

    context: BrowserContext
    page: Page
    stack: Stack
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refusals_are_expected: bool = False

    @classmethod
    async def open(
        cls,
        browser: Browser,
        stack: Stack,
        *,
        language: Language = "en-US",
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
    ) -> Self:
        """Open the page, signed out, and listen for its errors."""
        context = await browser.new_context(
            locale=language,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        desk = cls(context, await context.new_page(), stack)
        desk.page.on("console", desk._heard)
        desk.page.on("pageerror", lambda error: desk.errors.append(str(error)))
        desk.page.on("request", desk._asked)
        await desk.page.goto(f"{stack.gateway}/control/")
        await desk.page.locator("#sign-in").wait_for()
        return desk

    async def sign_in(self, password: str | None = None) -> None:
        """Type the operator's e-mail and password, and press Enter."""
        await self.page.fill("#email", self.stack.operator_email)
        await self.page.fill("#password", password or self.stack.operator_password)
        await self.page.press("#password", "Enter")

    async def enter(self) -> Self:
        """Sign in and wait for the first numbers and the list."""
        await self.sign_in()
        await self.page.locator("#numbers .value").first.wait_for()
        await self.page.locator("#hours .statement").wait_for()
        await self.page.locator("#mirror .statement").wait_for()
        await self.page.locator("#mitras tbody tr").first.wait_for()
        return self

    def button(self, name: str) -> Locator:
        """Return the button of this name that is on top: in an open dialog, if one is."""
        return self.page.get_by_role("button", name=name, exact=True).last

    async def number(self, fact: str) -> int:
        """Return one of the big numbers."""
        shown = await self.page.locator(f"#numbers [data-fact={fact}] .value").inner_text()
        return int(shown.replace(".", "").replace(",", ""))

    def row(self, name: str) -> Locator:
        """Return a mitra's row in the list."""
        return self.page.locator("#mitras tbody tr", has_text=name)

    async def fits(self) -> bool:
        """Return whether nothing sticks out to the right."""
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        return bool(await self.page.evaluate(wide))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if self.refusals_are_expected and message.text.startswith(_REFUSED):
            return
        self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.stack.gateway, "data:")):
            self.foreign.append(request.url)


async def until(holds: Callable[[], Awaitable[object]], *, within: float = 10) -> None:
    """Wait until something holds; the page's policy lets nobody evaluate text in it."""
    ends = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < ends, f"not so within {within} s"
        await asyncio.sleep(0.05)


async def eventually(seen: Locator, text: str, *, within: float = 10) -> None:
    """Wait until an element says `text` where one can see it."""
    ends = time.monotonic() + within
    said = ""
    while time.monotonic() < ends:
        said = await seen.first.inner_text() if await seen.first.is_visible() else ""
        if text in said:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it says {said!r}, not {text!r}")
