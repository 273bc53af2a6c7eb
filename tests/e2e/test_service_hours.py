"""The service closes and opens again, from outside: what everybody sees, and what goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.e2e.person import PATIENCE_SECONDS, Json, Person, Refused, Where
from tests.e2e.service import HOURS, MAINTENANCE, open_for_all
from tests.e2e.stack import Stack
from tests.e2e.story import (
    CHAT,
    PAIRING,
    Cast,
    ask,
    beating,
    eventually,
    go_online,
    matched,
    offer_for,
    paid,
)

pytestmark = pytest.mark.e2e

BEACON = "/api/customer/availability"


@pytest.fixture
async def closing(cast: Cast) -> AsyncIterator[Cast]:
    """People, one of whom may close the service: it is open before and after, come what may."""
    await open_for_all(cast.operator)
    try:
        yield cast
    finally:
        await open_for_all(cast.operator)
        await eventually(cast.customer, BEACON, lambda b: b["state"] != "disabled")


@contextlib.asynccontextmanager
async def another_customer(stack: Stack) -> AsyncIterator[Person]:
    """Somebody else with an app."""
    async with Person.at(Where(stack.gateway, stack.devproviders)) as person:
        yield await person.sign_in(stack.new_phone(), "customer")


async def status_row(cast: Cast) -> Json:
    """Return the mitra as operators see her, without what a heartbeat changes."""
    mitra_id, cursor = cast.mitra.user["user_id"], ""
    while True:
        page = await cast.operator.call(
            "GET", f"/api/control/availability/mitras?limit=200{cursor}"
        )
        for row in page["items"]:
            if row["mitra_id"] == mitra_id:
                return {k: row[k] for k in ("is_online", "went_online_at", "offline_reason")}
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.req("AV-11", "AV-16")
async def test_closing_hides_the_service_and_ends_nothing(
    stack: Stack, closing: Cast, long_tier: str
) -> None:
    """Nobody can ask any more; the offer under way becomes a session and is talked."""
    cast, tier = closing, long_tier
    async with (
        another_customer(stack) as other,
        other.socket(PAIRING) as looking,
        cast.mitra.socket(PAIRING) as offers,
        beating(cast.mitra, offers),
    ):
        await go_online(cast.mitra)
        request = await ask(cast.customer, tier)
        offer = await offer_for(cast.mitra, request["request_id"])
        before = await status_row(cast)

        await cast.operator.call("PUT", MAINTENANCE, {"on": True, "note": "end-to-end"})
        told = await looking.until("beacon", lambda d: d["state"] == "disabled")
        seen = await eventually(other, BEACON, lambda b: b["state"] == "disabled")
        assert (told["data"]["why"], told["data"]["count"]) == ("switch", 0)
        assert (seen["why"], seen["count"], seen["opens_at"]) == ("switch", 0, None)
        async with other.socket(PAIRING) as late:
            assert late.state["beacon"]["state"] == "disabled"
        with pytest.raises(Refused) as refusal:
            await ask(other, tier)
        assert (refusal.value.status, refusal.value.code) == (409, "service_closed")

        path = f"/api/mitra/offers/{offer['offer_id']}/accept"
        session_id = (await cast.mitra.call("POST", path))["session_id"]
        await talk(cast, session_id)
        assert await status_row(cast) == before

    # The operators' page says who did it.
    page = await cast.operator.call("GET", f"{HOURS}/versions?limit=1")
    assert page["items"][0]["changed_by"] == cast.operator.user["user_id"]
    assert page["items"][0]["maintenance"]["note"] == "end-to-end"


async def talk(cast: Cast, session_id: str) -> None:
    """Pay, say a word each, and end."""
    messages = f"/api/shared/chat/sessions/{session_id}/messages"
    async with cast.mitra.socket(CHAT):
        await paid(cast, session_id)
        for person, text in ((cast.customer, "Halo"), (cast.mitra, "Apa kabar?")):
            said = {"client_message_id": str(uuid4()), "text": text}
            assert (await person.call("POST", messages, said))["seq"]
        await cast.customer.call("POST", f"/api/shared/chat/sessions/{session_id}/end")
        await eventually(
            cast.mitra,
            f"/api/shared/chat/sessions/{session_id}",
            lambda s: s["state"] in {"closing", "completed"},
        )


@pytest.mark.req("AV-11", "AV-16")
async def test_it_opens_by_the_clock_without_anybody(stack: Stack, closing: Cast) -> None:
    """The hour that was told comes: sockets see who is there, and a request finds its mitra."""
    cast = closing
    async with (
        cast.customer.socket(PAIRING) as waiting,
        cast.mitra.socket(PAIRING) as offers,
        beating(cast.mitra, offers),
    ):
        await go_online(cast.mitra)
        told = datetime.now(UTC) + timedelta(hours=1)
        await cast.operator.call("PUT", MAINTENANCE, {"on": True, "until": told.isoformat()})
        dark = await waiting.until("beacon", lambda d: d["state"] == "disabled")
        assert datetime.fromisoformat(dark["data"]["opens_at"]) == told
        with pytest.raises(Refused) as refusal:
            await ask(cast.customer, stack.tier(seconds=8))
        assert datetime.fromisoformat(refusal.value.problem["opens_at"]) == told

        heard = len(waiting.frames)
        opens_at = datetime.now(UTC) + timedelta(seconds=4)
        await cast.operator.call("PUT", MAINTENANCE, {"on": True, "until": opens_at.isoformat()})
        await eventually(cast.customer, BEACON, lambda b: b["state"] == "available")
        assert datetime.now(UTC) >= opens_at - timedelta(milliseconds=50)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(
                frame["type"] == "beacon" and frame["data"]["state"] == "available"
                for frame in waiting.frames[heard:]
            ):
                await asyncio.sleep(0.05)
        request, accepted = await matched(cast, stack.tier(seconds=8))
        assert accepted["request_id"] == request["request_id"]


@pytest.mark.req("AV-16")
async def test_hours_close_it_too_and_mistakes_are_named(closing: Cast) -> None:
    """A closed date shows the next opening; a bad zone and an old version change nothing."""
    operator = closing.operator
    now = await operator.call("GET", HOURS)
    today = datetime.now(UTC).date()
    weekly = [{"day": day, "opens": "00:00", "closes": "00:00"} for day in range(1, 8)]
    hours = {
        "version": now["version"],
        "time_zone": "UTC",
        "weekly": weekly,
        "exceptions": [{"date": str(today + timedelta(days=n))} for n in range(2)],
    }
    with pytest.raises(Refused) as refusal:
        await operator.call("PUT", HOURS, {**hours, "time_zone": "Mars/Olympus"})
    assert (refusal.value.status, refusal.value.code) == (422, "time_zone_unknown")
    closed = await operator.call("PUT", HOURS, hours)
    assert (closed["now"]["is_open"], closed["now"]["why"]) == (False, "hours")
    seen = await eventually(closing.customer, BEACON, lambda b: b["state"] == "disabled")
    opening = datetime.combine(today + timedelta(days=2), datetime.min.time(), UTC)
    assert (seen["why"], datetime.fromisoformat(seen["opens_at"])) == ("hours", opening)
    with pytest.raises(Refused) as refusal:
        await operator.call("PUT", HOURS, hours)
    assert (refusal.value.status, refusal.value.code) == (409, "config_conflict")
    assert refusal.value.problem["version"] == closed["version"]
