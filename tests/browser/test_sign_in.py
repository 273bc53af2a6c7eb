"""At the door: who gets in, what is kept of it, and how it ends."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Request, Response, Route
from tests.browser.desk import Desk, eventually, until
from tests.e2e.person import Person, Refused
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

OpenDesk = Callable[..., Awaitable[Desk]]
KEPT = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
SUMMARY = "**/api/control/availability/summary"
# Of 300 s; tokens are renewed when 45 s are left. The rest is what the machine may take.
SOON_OVER_MS = 260_000


async def test_a_wrong_password_is_refused_in_words(desk: OpenDesk) -> None:
    """The page says what to do, in the language chosen, and the cursor is where one types again."""
    page = await desk()
    page.refusals_are_expected = True

    await page.sign_in(password="not the password at all")

    problem = page.page.locator("#sign-in-problem")
    await eventually(problem, "E-mail and password do not fit")
    assert await page.page.evaluate("document.activeElement.id") == "password"
    assert await page.page.locator("#desk").is_hidden()
    await page.page.get_by_role("button", name="Bahasa Indonesia").click()
    await eventually(problem, "Email dan kata sandi tidak cocok")


async def test_nothing_is_sent_while_something_is_missing(desk: OpenDesk) -> None:
    """An empty field is named before anybody is asked."""
    page = await desk()
    asked: list[str] = []
    page.on_request(lambda request: asked.append(request.url))

    await page.page.get_by_role("button", name="Sign in").click()

    await eventually(page.page.locator("#sign-in-problem"), "Please type both")
    assert [url for url in asked if "/api/" in url] == []


async def test_a_login_lives_in_the_page_only(desk: OpenDesk, stack: Stack) -> None:
    """No storage holds a token, and a reload forgets it; the password left the form."""
    page = await desk()
    async with page.page.expect_response(lambda answer: answer.url.endswith("/login")) as answer:
        await page.enter()
    tokens = await (await answer.value).json()

    kept = await page.page.evaluate(KEPT)
    assert tokens["access_token"] not in kept
    assert tokens["refresh_token"] not in kept
    assert await page.page.input_value("#password") == ""
    await page.page.reload()
    await page.page.locator("#sign-in").wait_for()
    assert await page.page.locator("#desk").is_hidden()


async def test_signing_out_ends_the_login(desk: OpenDesk, stack: Stack, operator: Person) -> None:
    """After it the numbers are gone from the page, and the token is worth nothing."""
    page = await desk()
    await page.enter()

    async with page.page.expect_response(lambda answer: answer.url.endswith("/logout")) as ended:
        await page.button("Sign out").click()
    await page.page.locator("#sign-in").wait_for()

    assert await page.page.locator("#numbers").inner_text() == ""
    sent = (await ended.value).request.headers["authorization"]
    operator.token = sent.removeprefix("Bearer ")
    with pytest.raises(Refused, match="login_revoked"):
        await operator.call("GET", "/api/control/auth/me")


async def test_a_login_ended_elsewhere_leads_to_the_door(desk: OpenDesk, operator: Person) -> None:
    """Who was signed out from elsewhere is told so, and what was open is closed."""
    page = await desk()
    await page.enter()
    await page.page.locator("#mitras tbody button.name").first.click()
    await page.page.locator("#drawer .checks").wait_for()
    page.refusals_are_expected = True

    await operator.call("POST", "/api/control/auth/logout", {"scope": "others"})

    await eventually(page.page.locator("#sign-in-problem"), "Your login was ended from elsewhere")
    assert await page.page.locator("dialog[open]").count() == 0


async def test_a_late_answer_to_an_ended_login_ends_no_other(desk: OpenDesk) -> None:
    """Who signs in while an answer to the login before is under way stays signed in."""
    page = await desk()
    await page.enter()
    held = await page.hold(SUMMARY, times=1)

    async def is_held() -> bool:
        return bool(held)

    await until(is_held)
    await page.button("Sign out").click()
    await page.enter()
    page.refusals_are_expected = True
    async with page.page.expect_response(
        lambda answer: answer.url.endswith("/summary") and answer.ok
    ):
        await held[0].fulfill(status=401, json={"code": "login_revoked", "status": 401})

    assert await page.page.locator("#sign-in").is_hidden()


@pytest.mark.req("AU-05")
async def test_tokens_are_renewed_before_they_end(desk: OpenDesk) -> None:
    """Minutes later the page has renewed its tokens, once, and goes on with the new one."""
    page = await desk(alone=True)
    await page.page.clock.install()
    await page.enter()
    renewed: list[Request] = []

    def sent(request: Request) -> None:
        if request.url.endswith("/refresh"):
            renewed.append(request)

    page.on_request(sent)
    async with page.page.expect_response(lambda answer: answer.url.endswith("/refresh")) as answer:
        await page.page.clock.fast_forward(SOON_OVER_MS)
    token = (await (await answer.value).json())["access_token"]

    def is_asked_with_it(answer: Response) -> bool:
        asked = answer.request
        return asked.url.endswith("/summary") and asked.headers["authorization"].endswith(token)

    async with page.page.expect_response(is_asked_with_it):
        pass
    assert len(renewed) == 1


async def test_a_renewal_that_fails_once_ends_nothing(desk: OpenDesk) -> None:
    """No connection at the moment of the renewal: the page goes on and renews at the next one."""
    page = await desk(alone=True)
    await page.page.clock.install()
    await page.enter()
    page.refusals_are_expected = True
    tries: list[str] = []

    async def cut_once(route: Route) -> None:
        tries.append(route.request.url)
        await (route.abort() if len(tries) == 1 else route.continue_())

    await page.page.route("**/auth/refresh", cut_once)
    async with page.page.expect_response(lambda answer: answer.url.endswith("/refresh")):
        await page.page.clock.fast_forward(SOON_OVER_MS)

    assert len(tries) == 2
    assert await page.page.locator("#desk").is_visible()
