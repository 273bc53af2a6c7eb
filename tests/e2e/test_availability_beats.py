"""Beats of those who may not beat, from outside: by call and over both sockets, each outcome."""

import asyncio

import pytest
from tests.e2e.person import Person, Refused
from tests.e2e.stack import Stack
from tests.e2e.story import (
    CHAT,
    PAIRING,
    PROMISED_SECONDS,
    TOLD_SECONDS,
    Cast,
    eventually,
    go_online,
    refused,
)

from common.testing import in_time

pytestmark = pytest.mark.e2e

HEARTBEAT = "/api/mitra/status/heartbeat"
CLOSED_REVOKED = 4403


async def ended(cast: Cast, reason: str) -> None:
    """Wait until operators see that her time online ended, and why."""
    path = f"/api/control/availability/mitras/{cast.mitra.user['user_id']}/online-time"
    await eventually(
        cast.operator, path, lambda t: [one["reason"] for one in t["items"]] == [reason]
    )


async def acknowledged(person: Person, path: str) -> bool | None:
    """Beat over a socket; return what the acknowledgement says."""
    async with person.socket(path) as socket:
        await socket.send("beat")
        found: bool | None = (await socket.until("beat_ack"))["data"]["is_online"]
        return found


async def refusal(person: Person) -> Refused:
    """Beat by call until it is refused: everybody is told that a login has ended."""
    async with asyncio.timeout(TOLD_SECONDS):
        return await refused(person, "POST", HEARTBEAT)


@pytest.mark.req("AV-03", "AV-04")
async def test_a_beat_brings_nobody_online(cast: Cast) -> None:
    """Who never went online, or left, hears so by each way, however often her app beats."""
    for _ in range(2):
        assert (await cast.mitra.call("POST", HEARTBEAT))["is_online"] is False
        assert await acknowledged(cast.mitra, PAIRING) is False
        assert await acknowledged(cast.mitra, CHAT) is False
        await go_online(cast.mitra)
        assert (await cast.mitra.call("POST", HEARTBEAT))["is_online"] is True
        assert await acknowledged(cast.mitra, PAIRING) is True
        assert await acknowledged(cast.mitra, CHAT) is True
        await cast.mitra.call("POST", "/api/mitra/status/offline")


@pytest.mark.req("AV-04")
async def test_a_customer_s_beat_is_nobody_s(cast: Cast) -> None:
    """Over a socket it says nothing about anybody; by call it is refused."""
    assert await acknowledged(cast.customer, PAIRING) is None
    assert await acknowledged(cast.customer, CHAT) is None
    no = await refusal(cast.customer)
    assert (no.status, no.code) == (403, "forbidden")


@pytest.mark.req("AV-03", "AV-14", "AU-08")
async def test_who_logged_out_beats_no_more(cast: Cast) -> None:
    """Her calls are refused, her open sockets close, and she is offline by logout."""
    await go_online(cast.mitra)
    async with cast.mitra.socket(PAIRING) as pairing, cast.mitra.socket(CHAT) as chat:
        await cast.mitra.call("POST", "/api/auth/logout")
        assert await pairing.closed(within=TOLD_SECONDS) == CLOSED_REVOKED
        assert await chat.closed(within=TOLD_SECONDS) == CLOSED_REVOKED
    assert (await refusal(cast.mitra)).status == 401
    await ended(cast, "logout")


@pytest.mark.req("AU-08")
async def test_the_end_of_a_login_is_seen_everywhere_in_time(stack: Stack, cast: Cast) -> None:
    """Her sockets close and her calls are refused within 2 s of her logout.

    Services that were not told would each have to look by chance within the same 2 s of 12.
    """

    async def attempt() -> None:
        async with Person.at(cast.customer.where) as person:
            await person.sign_in(stack.new_phone(), "customer")
            async with person.socket(PAIRING) as pairing, person.socket(CHAT) as chat:
                await person.call("POST", "/api/auth/logout")
                async with asyncio.timeout(PROMISED_SECONDS):
                    codes = await asyncio.gather(pairing.closed(), chat.closed())
                    for path in ("/api/customer/availability", "/api/shared/chat/sessions"):
                        assert (await refused(person, "GET", path)).status == 401
        assert codes == [CLOSED_REVOKED, CLOSED_REVOKED]

    await in_time(attempt)


@pytest.mark.req("AV-03", "AV-05", "AU-11")
async def test_who_was_deactivated_beats_no_more(cast: Cast) -> None:
    """Her open sockets close, her calls are refused, and she is offline by deactivation."""
    await go_online(cast.mitra)
    mitra_id = cast.mitra.user["user_id"]
    async with cast.mitra.socket(PAIRING) as pairing, cast.mitra.socket(CHAT) as chat:
        await cast.operator.call("PATCH", f"/api/control/mitras/{mitra_id}", {"is_active": False})
        assert await pairing.closed(within=TOLD_SECONDS) == CLOSED_REVOKED
        assert await chat.closed(within=TOLD_SECONDS) == CLOSED_REVOKED
    assert (await refusal(cast.mitra)).status in {401, 403}
    await ended(cast, "deactivated")
