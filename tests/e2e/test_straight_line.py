"""The main job from outside: two people and an operator, through the gateway, on real parts.

Everything here goes over HTTP and sockets, as an app would; the one look inside is the
operator's password, which the launcher prints in its banner.
"""

import asyncio
import contextlib
from uuid import uuid4

import pytest
from tests.e2e.person import Person, Refused, Socket
from tests.e2e.stack import Stack
from tests.e2e.story import (
    CHAT,
    PAIRING,
    TOLD_SECONDS,
    Cast,
    ask,
    beating,
    eventually,
    go_online,
    matched,
    offer_for,
    paid,
    refused,
)

pytestmark = pytest.mark.e2e


@pytest.mark.req(
    "AU-01", "AV-01", "AV-11", "PA-01", "PA-02", "PA-03", "PA-06", "CH-01", "CH-03", "CH-04"
)
async def test_a_whole_life_over_sockets(stack: Stack, cast: Cast, long_tier: str) -> None:
    """Customers find mitras, pay, talk, extend, end and say goodbye, all told by sockets."""
    async with cast.mitra.socket(PAIRING) as offers, beating(cast.mitra, offers):
        await go_online(cast.mitra)
        beacon = await eventually(
            cast.customer,
            "/api/customer/availability",
            lambda b: b["state"] == "available" and b["count"] >= 1,
        )
        assert beacon["as_of"]

        async with cast.customer.socket(PAIRING) as waiting:
            request = await ask(cast.customer, long_tier)
            offer = (
                await offers.until("offer", lambda d: d["request_id"] == request["request_id"])
            )["data"]
            accepted = await cast.mitra.call(
                "POST", f"/api/mitra/offers/{offer['offer_id']}/accept"
            )
            told = await waiting.until("request", lambda d: d["state"] == "matched")
            assert told["data"]["session_id"] == accepted["session_id"]
            assert told["data"]["mitra"]["display_name"] == "Sari"
        again = await cast.mitra.call("POST", f"/api/mitra/offers/{offer['offer_id']}/accept")
        assert again["session_id"] == accepted["session_id"]

        await eventually(cast.mitra, "/api/mitra/status", lambda s: not s["available"])
        await talk_extend_and_end(stack, cast, accepted["session_id"])
        await eventually(cast.mitra, "/api/mitra/status", lambda s: s["available"])


async def talk_extend_and_end(stack: Stack, cast: Cast, session_id: str) -> None:
    """From the payment to the goodbye, both sides on their chat sockets."""
    async with cast.customer.socket(CHAT) as hers, cast.mitra.socket(CHAT) as his:
        await paid(cast, session_id)
        await his.until("session", lambda d: d["state"] == "active")

        await exchange(hers, his, session_id)
        await hers.until("warning", lambda d: d["session_id"] == session_id)
        await extend(stack, cast, hers, his, session_id)

        await cast.customer.call("POST", f"/api/shared/chat/sessions/{session_id}/end")
        await his.until("session", lambda d: d["state"] == "closing")
        for person in (cast.customer, cast.mitra):
            goodbye = await person.call(
                "POST",
                f"/api/shared/chat/sessions/{session_id}/messages",
                {"client_message_id": str(uuid4()), "text": "Terima kasih"},
            )
            assert goodbye["kind"] == "goodbye"
        done = await eventually(
            cast.customer,
            f"/api/shared/chat/sessions/{session_id}",
            lambda s: s["state"] == "completed",
        )
        assert done["completed_at"]
    history = await cast.mitra.call("GET", f"/api/shared/chat/sessions/{session_id}/messages")
    assert [m["seq"] for m in history["messages"]] == list(range(1, history["last_seq"] + 1))
    listed = await cast.customer.call("GET", "/api/shared/chat/sessions?state=completed")
    assert session_id in {s["session_id"] for s in listed["items"]}


async def exchange(hers: Socket, his: Socket, session_id: str) -> None:
    """Messages go both ways with a number, an acknowledgement, and one copy for a repeat."""
    message = {"session_id": session_id, "client_message_id": str(uuid4()), "text": "Halo"}
    sent = await hers.send("message", message)
    ack = await hers.until("message_ack", lambda d: d["session_id"] == session_id)
    assert ack["id"] == sent
    heard = await his.until("message", lambda d: d["text"] == "Halo")
    assert heard["data"]["seq"] == ack["data"]["seq"] == 1

    await hers.send("message", message)
    answer = {"session_id": session_id, "client_message_id": str(uuid4()), "text": "Apa kabar?"}
    await his.send("message", answer)
    second = await hers.until("message", lambda d: d["text"] == "Apa kabar?")
    assert second["data"]["seq"] == 2


async def extend(stack: Stack, cast: Cast, hers: Socket, his: Socket, session_id: str) -> None:
    """An extension is asked, accepted, paid, and gives both the same new deadline."""
    tier = stack.tier(seconds=8)
    asked = await cast.customer.call(
        "POST", f"/api/customer/chat/sessions/{session_id}/extensions", {"tier_id": tier}
    )
    await his.until("extension", lambda d: d["extension_id"] == asked["extension_id"])
    path = f"/sessions/{session_id}/extensions/{asked['extension_id']}"
    await cast.mitra.call("POST", f"/api/mitra/chat{path}/accept")
    with pytest.raises(Refused) as refusal:
        await cast.mitra.call("POST", f"/api/mitra/chat{path}/decline")
    assert (refusal.value.status, refusal.value.code) == (409, "extension_resolved")
    checkout = await cast.customer.call("POST", f"/api/customer/chat{path}/payment")
    await cast.customer.pay(checkout)
    resumed = [
        await socket.until("session_resumed", lambda d: d["session_id"] == session_id)
        for socket in (hers, his)
    ]
    assert resumed[0]["data"]["ends_at"] == resumed[1]["data"]["ends_at"]


@pytest.mark.req("CH-04", "CH-08")
async def test_a_dropped_socket_resumes_where_it_was(
    stack: Stack, cast: Cast, long_tier: str
) -> None:
    """What was said while a socket was gone arrives once, in order, from the cursor on."""
    async with cast.mitra.socket(PAIRING) as offers, beating(cast.mitra, offers):
        await go_online(cast.mitra)
        _, accepted = await matched(cast, long_tier)
        session_id = accepted["session_id"]
        async with cast.mitra.socket(CHAT):
            await paid(cast, session_id)
            async with cast.customer.socket(CHAT) as first:
                await first.send(
                    "message",
                    {
                        "session_id": session_id,
                        "client_message_id": str(uuid4()),
                        "text": "satu",
                    },
                )
                await first.until("message_ack")
            for text in ("dua", "tiga"):
                await cast.mitra.call(
                    "POST",
                    f"/api/shared/chat/sessions/{session_id}/messages",
                    {"client_message_id": str(uuid4()), "text": text},
                )
            async with cast.customer.socket(CHAT, cursor={session_id: 1}) as second:
                missed = [m["text"] for m in second.state["messages"]]
                assert missed == ["dua", "tiga"]

    async with Person.at(cast.customer.where) as stranger:
        await stranger.sign_in(stack.new_phone(), "customer")
        with pytest.raises(Refused) as refusal:
            await stranger.call("GET", f"/api/shared/chat/sessions/{session_id}/messages")
        assert refusal.value.status == 404


@pytest.mark.req("AU-08", "AU-11", "AV-05")
async def test_deactivation_is_seen_everywhere_at_once(stack: Stack, cast: Cast) -> None:
    """An operator switches a mitra off: sockets, heartbeats and offers end by the word of it."""
    async with (
        cast.mitra.socket(PAIRING) as offers,
        cast.mitra.socket(CHAT) as chat,
        beating(cast.mitra, offers),
    ):
        await go_online(cast.mitra)
        request = await ask(cast.customer, stack.tier(seconds=8))
        offer = await offer_for(cast.mitra, request["request_id"])
        mitra_id = cast.mitra.user["user_id"]

        async with asyncio.timeout(TOLD_SECONDS):
            await cast.operator.call(
                "PATCH",
                f"/api/control/mitras/{mitra_id}",
                {"is_active": False, "reason": "test"},
            )
            codes = await asyncio.gather(offers.closed(), chat.closed())
            assert codes == [4403, 4403]
            for path in (
                "/api/mitra/status/heartbeat",
                "/api/mitra/status/online",
                f"/api/mitra/offers/{offer['offer_id']}/accept",
            ):
                refusal = await refused(cast.mitra, "POST", path)
                assert refusal.status in {401, 403}
            await eventually(cast.customer, "/api/customer/availability", lambda b: b["count"] == 0)
    mitras = await eventually(
        cast.operator,
        "/api/control/mitras?limit=100",
        lambda page: any(m["mitra_id"] == mitra_id for m in page["items"]),
    )
    row = next(m for m in mitras["items"] if m["mitra_id"] == mitra_id)
    assert row["is_active"] is False
    with contextlib.suppress(Refused):  # it may have waited long enough by now
        await cast.customer.call("DELETE", f"/api/customer/pairing/{request['request_id']}")


@pytest.mark.req("PA-04")
async def test_a_wait_without_a_taker_ends_with_a_clear_word(stack: Stack, cast: Cast) -> None:
    """A request that nobody takes expires after its wait, and the customer is told so."""
    async with cast.customer.socket(PAIRING) as waiting:
        request = await ask(cast.customer, stack.tier(seconds=8))
        with pytest.raises(Refused) as refusal:
            await ask(cast.customer, stack.tier(seconds=8))
        assert (refusal.value.status, refusal.value.code) == (409, "request_open")
        told = await waiting.until(
            "request", lambda d: d["state"] == "expired", within=stack.request_wait_seconds + 30
        )
    assert told["data"]["request_id"] == request["request_id"]


@pytest.mark.req("PA-05", "CH-03")
async def test_a_mitra_who_never_shows_up_is_replaced_without_a_second_payment(
    stack: Stack, cast: Cast, long_tier: str
) -> None:
    """A paid session whose mitra stays away goes to another mitra with its full time."""
    async with contextlib.AsyncExitStack() as doors:
        # Signed in before: from the match on the payment has to come within seconds.
        other = await doors.enter_async_context(Person.at(cast.mitra.where))
        phone = stack.new_phone()
        await cast.operator.call(
            "POST", "/api/control/mitras", {"phone": phone, "display_name": "Dewi", "capacity": 1}
        )
        await other.sign_in(phone, "mitra")
        spare = await doors.enter_async_context(other.socket(PAIRING))
        await doors.enter_async_context(beating(other, spare))
        async with cast.mitra.socket(PAIRING) as offers, beating(cast.mitra, offers):
            await go_online(cast.mitra)
            request, accepted = await matched(cast, long_tier)
        await cast.mitra.call("POST", "/api/mitra/status/offline")
        await go_online(other)

        await paid(cast, accepted["session_id"])
        offer = await offer_for(other, request["request_id"])
        taken = await other.call("POST", f"/api/mitra/offers/{offer['offer_id']}/accept")
        assert taken["session_id"] != accepted["session_id"]
        session = await cast.customer.call(
            "GET", f"/api/shared/chat/sessions/{taken['session_id']}"
        )
        assert session["state"] == "active"
        with pytest.raises(Refused) as refusal:
            await cast.mitra.call("GET", f"/api/shared/chat/sessions/{accepted['session_id']}")
        assert refusal.value.status == 404
        await other.call("POST", f"/api/shared/chat/sessions/{taken['session_id']}/end")
        await other.call("POST", "/api/mitra/status/offline")
