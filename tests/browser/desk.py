"""An operator's browser as the tests drive it: what she sees and does, not how it is built."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from playwright.async_api import ConsoleMessage, Error, Locator, Page, Request, Route
from tests.browser.windows import Look, Windows
from tests.e2e.stack import Stack

# Chromium itself writes a line for each answer that is no success; a test that provokes one
# says so with `expected`. A service on a busy machine may ask for a moment: the page tries again.
_REFUSED = "Failed to load resource"
_BUSY = f"{_REFUSED}: the server responded with a status of 503"
# It ends a wait that is in vain; how long the machine takes is no test's matter.
PATIENCE = 30.0


@dataclass
class Desk:
    """One page, and everything that went wrong in it."""

    page: Page
    stack: Stack
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refusals_are_expected: bool = False
    _listeners: list[Callable[[Request], None]] = field(default_factory=list)
    _held: list[Route] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, windows: Windows, stack: Stack, look: Look) -> AsyncIterator[Self]:
        """Open the page, signed out, and listen for its errors until it is left."""
        desk = cls(await windows.take(look), stack)
        desk.page.on("console", desk._heard)
        desk.page.on("pageerror", desk._failed)
        desk.on_request(desk._asked)
        try:
            await desk.page.goto(f"{stack.gateway}/control/")
            await desk.page.locator("#sign-in").wait_for()
            yield desk
        finally:
            await desk._leave()
            await windows.put_back(desk.page, look)

    def on_request(self, heard: Callable[[Request], None]) -> None:
        """Hear each request that is sent from here on."""
        self.page.on("request", heard)
        self._listeners.append(heard)

    async def hold(self, address: str, *, times: int | None = None) -> list[Route]:
        """Let nobody answer these requests; returns those that wait, as they come."""

        async def hold(route: Route) -> None:
            held.append(route)
            self._held.append(route)

        held: list[Route] = []
        await self.page.route(address, hold, times=times)
        return held

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
        if message.type not in {"error", "warning"} or message.text.startswith(_BUSY):
            return
        if self.refusals_are_expected and message.text.startswith(_REFUSED):
            return
        self.errors.append(message.text)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.stack.gateway, "data:")):
            self.foreign.append(request.url)

    async def _leave(self) -> None:
        self.page.remove_listener("console", self._heard)
        self.page.remove_listener("pageerror", self._failed)
        for heard in self._listeners:
            self.page.remove_listener("request", heard)
        for route in self._held:
            with contextlib.suppress(Error):  # it was answered
                await route.abort()


async def until(holds: Callable[[], Awaitable[object]], *, within: float = PATIENCE) -> None:
    """Wait until something holds; the page's policy lets nobody evaluate text in it."""
    ends = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < ends, f"not so within {within} s"
        await asyncio.sleep(0.1)


async def eventually(seen: Locator, text: str, *, within: float = PATIENCE) -> None:
    """Wait until the first such element that one can see says `text`."""
    said: list[str] = []

    async def says() -> bool:
        # In one look: what is seen may be drawn anew, or go, at any moment.
        said[:] = (await seen.filter(visible=True).all_inner_texts())[:1]
        return any(text in each for each in said)

    try:
        await until(says, within=within)
    except AssertionError:
        raise AssertionError(f"it says {said}, not {text!r}") from None
