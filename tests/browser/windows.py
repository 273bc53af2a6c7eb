"""The windows that tests look through: most share one, which each finds empty."""

from dataclasses import dataclass
from typing import Literal

from playwright.async_api import Browser, Page

Language = Literal["en-US", "id-ID"]
_SHARED: Language = "en-US"
# Of the page's own site, so that its process goes on, and without a script.
_NOWHERE = "control/mark.svg"


@dataclass(frozen=True, slots=True)
class Look:
    """How a window looks, and whether it is of one test only: a clock once turned stays so."""

    language: Language = _SHARED
    width: int = 1440
    height: int = 900
    dark: bool = False
    alone: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether the window that all share can look so."""
        return not self.alone and self.language == _SHARED


@dataclass
class Windows:
    """Opening a window costs thrice what loading a page in it does, so one is used again."""

    browser: Browser
    gateway: str
    _idle: Page | None = None

    async def take(self, look: Look) -> Page:
        """Return an empty window."""
        page = None
        if look.is_shared:
            page, self._idle = self._idle, None  # what is not put back well is not used again
        page = page or await self._open(look)
        await page.set_viewport_size({"width": look.width, "height": look.height})
        await page.emulate_media(color_scheme="dark" if look.dark else "light")
        await page.mouse.move(0, 0)
        return page

    async def put_back(self, page: Page, look: Look) -> None:
        """End all that goes on in a window, and forget what was kept in it."""
        await page.unroute_all(behavior="wait")
        if not look.is_shared:
            await page.context.close()
            return
        await page.goto(f"{self.gateway}/{_NOWHERE}")
        await page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        await page.context.clear_cookies()
        self._idle = page

    async def close(self) -> None:
        """Close the window that is shared."""
        if self._idle:
            await self._idle.context.close()

    async def _open(self, look: Look) -> Page:
        context = await self.browser.new_context(locale=look.language, reduced_motion="reduce")
        return await context.new_page()
