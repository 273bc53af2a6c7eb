"""One Chromium for the run, a page loaded anew for each test, and an operator at a desk."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright
from tests.browser import chromium
from tests.browser.desk import Desk
from tests.browser.mitras import Mitras
from tests.browser.windows import Look, Windows
from tests.e2e.person import Person, Where
from tests.e2e.stack import Stack

_HERE = Path(__file__).parent
_START_SECONDS = 120
# The first of them may have to fetch a Chromium, and starts it and a whole stack.
_TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that a first start may take."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS))


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
            timeout=_START_SECONDS * 1000,
        )
        yield running
        await running.close()


@pytest.fixture(scope="session")
async def windows(browser: Browser, stack: Stack) -> AsyncIterator[Windows]:
    """The windows of the run; what they show is gone before the stack goes."""
    opened = Windows(browser, stack.gateway)
    yield opened
    await opened.close()


@pytest.fixture
async def desk(windows: Windows, stack: Stack) -> AsyncIterator[Callable[..., Awaitable[Desk]]]:
    """What opens the page for a test and looks at its end that there was no error in it."""
    opened: list[Desk] = []
    async with contextlib.AsyncExitStack() as doors:

        async def open_one(**look: Any) -> Desk:
            desk = await doors.enter_async_context(Desk.open(windows, stack, Look(**look)))
            opened.append(desk)
            return desk

        yield open_one
    assert [error for each in opened for error in each.errors] == []


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
