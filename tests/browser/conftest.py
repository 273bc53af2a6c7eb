"""One Chromium for the run, a fresh browser profile for each test, and an operator at a desk."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, async_playwright
from tests.browser import chromium
from tests.browser.desk import Desk
from tests.browser.mitras import Mitras
from tests.e2e.person import Person, Where
from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """The machine's Chromium, or Debian's, fetched once with its progress in sight."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            sys.stderr.write(f"{line}\n")

    found = chromium.find(say)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=found.path,
            args=list(chromium.FLAGS),
            env={**os.environ, **found.env},
        )
        yield running
        await running.close()


@pytest.fixture
async def desk(browser: Browser, stack: Stack) -> AsyncIterator[Callable[..., Awaitable[Desk]]]:
    """What opens the page for a test and looks at its end that there was no error in it."""
    opened: list[Desk] = []

    async def open_one(**look: object) -> Desk:
        opened.append(await Desk.open(browser, stack, **look))  # type: ignore[arg-type]  # passed through by name
        return opened[-1]

    yield open_one
    for each in opened:
        await each.context.close()
        assert each.errors == []


@pytest.fixture
async def operator(stack: Stack) -> AsyncIterator[Person]:
    """The operator over HTTP, to set the scene and to tidy up."""
    async with Person.at(Where(stack.gateway, stack.devproviders)) as person:
        await person.sign_in_by_password(stack.operator_email, stack.operator_password)
        yield person


@pytest.fixture
async def mitras(stack: Stack, operator: Person) -> AsyncIterator[Mitras]:
    """Make mitras who are online and beat until the test ends: `await mitras.arrive("Sari")`."""
    async with Mitras.of(stack, operator) as made:
        yield made
