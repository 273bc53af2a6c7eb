"""The window that tests share is as good as a new one."""

import pytest
from tests.browser.windows import Look, Windows

pytestmark = pytest.mark.e2e
KEPT = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"


async def test_nothing_is_kept_for_the_next_test(windows: Windows) -> None:
    """What one test stored, cut off or made narrow is not there for the one after it."""
    narrow, page = Look(width=390, dark=True), f"{windows.gateway}/control/"
    one = await windows.take(narrow)
    await one.goto(page)
    await one.evaluate("localStorage.a = sessionStorage.b = document.cookie = 'c=kept'")
    await one.route("**/api/**", lambda route: route.abort())
    await windows.put_back(one, narrow)

    other = await windows.take(Look())

    assert other is one
    assert await other.evaluate(KEPT) == '[{},{},""]'
    await other.goto(page)
    assert await other.evaluate(
        "[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]"
    ) == [1440, False]
    assert await other.evaluate("fetch('/api/control/auth/me').then(({ status }) => status)") == 401
    await windows.put_back(other, Look())


async def test_a_window_of_ones_own_is_another(windows: Windows) -> None:
    """A clock or a language of its own stays with the test that wanted it."""
    shared = await windows.take(Look())
    for look in (Look(alone=True), Look(language="id-ID")):
        own = await windows.take(look)
        assert own.context is not shared.context
        await windows.put_back(own, look)
        assert own.is_closed()
    await windows.put_back(shared, Look())
