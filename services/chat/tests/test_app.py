"""The whole replica over HTTP and its socket, beside the real schemas of its neighbours."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientWebSocketResponse
from services.chat.tests.midtrans import PlayedMidtrans, playing
from services.chat.tests.site import SESSIONS, Site, serving
from services.chat.tests.world import World
from tests import deaf

from common.bus import Bus
from common.ids import new_id
from common.runner import Runner
from common.testing import eventually, in_time


@pytest.fixture
async def provider() -> AsyncIterator[PlayedMidtrans]:
    """A played Midtrans."""
    async with playing() as played:
        yield played


@pytest.mark.req("CH-01", "CH-03", "CH-04", "AV-04")
async def test_with_all_servers(
    world: World, provider: PlayedMidtrans, nats_url: str, valkey_url: str
) -> None:
    """From payment to goodbye over the socket."""
    async with serving(world, provider, nats_url=nats_url, valkey_url=valkey_url) as site:
        await the_straight_line(site, provider)


@pytest.mark.req("CH-01", "CH-04")
async def test_without_nats_and_valkey(world: World, provider: PlayedMidtrans) -> None:
    """With NATS and Valkey away everything a user does works, pushes included."""
    async with serving(world, provider) as site:
        await the_straight_line(site, provider)


@pytest.mark.req("AV-07", "OP-06")
async def test_operators_see_why_postgres_answers(
    world: World, provider: PlayedMidtrans, valkey_url: str
) -> None:
    """Valkey is up only while it is a mirror; else its state and the reason stand there."""
    await deaf.seed_deaf(world.database, valkey_url, await world.mitra())
    async with serving(world, provider, valkey_url=valkey_url) as site:
        assert await deaf.seen(site.client, site.url) == {"up": False, "detail": deaf.SAYS}
    async with serving(world, provider, valkey_url="valkey://127.0.0.1:1") as site:
        away = await deaf.seen(site.client, site.url)

    assert away["up"] is False
    assert away["detail"].startswith("away: ConnectionRefusedError: ")


async def the_straight_line(site: Site, provider: PlayedMidtrans) -> None:
    """Pay, talk, read, extend, end, say goodbye."""
    session_id, customer, mitra = await site.pair()
    async with (
        site.listening(customer) as (theirs, state),
        site.listening(mitra) as (hers, _),
    ):
        assert [s["state"] for s in state["sessions"]] == ["pending_payment"]
        assert state["sessions"][0]["mitra"]["display_name"] == "Mitra 1"
        await site.pay(customer, session_id, provider)
        told = await hers.session("active")
        assert (told["role"], told["payment"]["state"]) == ("mitra", "paid")
        await theirs.session("active")

        ack = await theirs.write(session_id, "halo")
        assert ack["seq"] == 1
        assert (await hers.next("message"))["text"] == "halo"
        await hers.say("typing", session_id=session_id)
        assert (await theirs.next("typing"))["role"] == "mitra"
        await hers.say("read", session_id=session_id, seq=1)
        assert await theirs.next("read") == {"session_id": session_id, "role": "mitra", "seq": 1}
        await hers.say("beat")
        assert (await hers.next("beat_ack"))["is_online"] is False

        await an_extension(site, provider, session_id, customer, mitra)
        assert (await hers.next("session_resumed"))["session_id"] == session_id
        await theirs.next("session_resumed")

        status, ended = await site.call(mitra, "POST", f"{SESSIONS}/{session_id}/end")
        assert (status, ended["state"]) == (200, "closing")
        await theirs.session("closing")
        await theirs.write(session_id, "terima kasih")
        await hers.write(session_id, "sampai jumpa")
        done = await theirs.session("completed")
        assert done["ended_reason"] == "mitra_ended"
    status, page = await site.call(customer, "GET", f"{SESSIONS}/{session_id}/messages")
    assert [m["kind"] for m in page["messages"]] == ["text", "goodbye", "goodbye"]
    assert page["last_seq"] == 3


async def an_extension(
    site: Site, provider: PlayedMidtrans, session_id: str, customer: Any, mitra: Any
) -> None:
    """Ask, accept and pay."""
    path = f"/api/customer/chat/sessions/{session_id}/extensions"
    status, asked = await site.call(customer, "POST", path, json={"tier_id": "test-1"})
    assert (status, asked["state"]) == (201, "requested")
    own = f"/api/mitra/chat/sessions/{session_id}/extensions/{asked['extension_id']}"
    status, accepted = await site.call(mitra, "POST", f"{own}/accept")
    assert (status, accepted["state"]) == (200, "accepted")
    await site.pay(customer, session_id, provider, f"/extensions/{asked['extension_id']}")
    status, late = await site.call(mitra, "POST", f"{own}/decline")
    assert (status, late["code"], late["state"]) == (409, "extension_resolved", "applied")


@pytest.mark.req("CH-05")
async def test_ends_within_a_second(own_world: World, provider: PlayedMidtrans) -> None:
    """Nobody sweeps, the tick is far away: still the end is told within a second of it."""
    world = own_world
    await world.admin.execute(
        "INSERT INTO chat.tiers (tier_id, version, name, duration_seconds, price_idr, is_offered)"
        " VALUES ('quick', 1, 'Quick', 1, 500, true)"
    )
    async with serving(world, provider, tick_seconds=600) as site:

        async def attempt() -> None:
            mitra_id = await world.mitra()
            request_id, customer_id, tier = await world.request(mitra_id, tier="quick")
            opened = await world.open(mitra_id, request_id, customer_id, tier)
            customer = await site.person("customer", customer_id)
            async with site.listening(customer) as (theirs, _):
                await site.pay(customer, str(opened["session_id"]), provider)
                active = await theirs.session("active")
                # It lasts a second, and may be late by one.
                async with asyncio.timeout(2):
                    ended = await theirs.session("expired")
            assert ended["ends_at"] == active["ends_at"]

        await in_time(attempt)


@pytest.mark.req("CH-05")
async def test_a_warning_waits_for_no_tick(world: World, provider: PlayedMidtrans) -> None:
    """A second into a quarter of an hour the warning of the time that is left is told."""
    async with serving(world, provider, tick_seconds=600, warnings_seconds="899") as site:
        session_id, customer, _ = await site.pair()
        async with site.listening(customer) as (theirs, _):
            await site.pay(customer, session_id, provider)
            warning = await theirs.next("warning")
            assert 800 < warning["seconds_left"] <= 899


@pytest.mark.req("CH-11", "CH-05")
async def test_overdue_at_start(world: World, provider: PlayedMidtrans) -> None:
    """A replica that starts settles at once what became due while nobody ran."""
    story = await world.active(replied=True)
    await world.let_pass(story.session.id, "ends_at")
    async with serving(world, provider, tick_seconds=60):
        await eventually(lambda: _state_is(world, story.session.id, "expired"))


async def _state_is(world: World, session_id: UUID, state: str) -> bool:
    return await world.state(session_id) == state


@pytest.mark.req("CH-04")
async def test_resume_from_any_cursor(world: World, provider: PlayedMidtrans) -> None:
    """A reconnecting app gets exactly what it missed, by cursor or by asking."""
    async with serving(world, provider) as site:
        session_id, customer, mitra = await site.pair()
        await site.pay(customer, session_id, provider)
        async with site.listening(mitra) as (hers, _):
            for number in range(1, 6):
                assert (await hers.write(session_id, f"pesan {number}"))["seq"] == number
        async with site.listening(customer, cursor={session_id: 3, "nonsense": 1}) as (ear, state):
            assert [m["seq"] for m in state["messages"]] == [4, 5]
            await ear.say("resume", session_id=session_id, after_seq=1)
            resumed = await ear.next("messages")
            assert [m["seq"] for m in resumed["messages"]] == [2, 3, 4, 5]
            assert resumed["last_seq"] == 5
        async with site.listening(customer) as (_, fresh):
            assert [m["seq"] for m in fresh["messages"]] == [1, 2, 3, 4, 5]
        # No cursor shuts its own app out: beyond every number that Postgres knows, and before all.
        async with site.listening(customer, cursor={session_id: 2**64 - 1}) as (_, beyond):
            assert beyond["messages"] == []
        async with site.listening(customer, cursor={session_id: -(2**63)}) as (_, before):
            assert [m["seq"] for m in before["messages"]] == [1, 2, 3, 4, 5]


@pytest.mark.req("CH-04")
async def test_the_same_message_twice(world: World, provider: PlayedMidtrans) -> None:
    """Sent again over HTTP after a lost answer it is the same message, told once."""
    async with serving(world, provider) as site:
        session_id, customer, mitra = await site.pair()
        await site.pay(customer, session_id, provider)
        body = {"client_message_id": str(new_id()), "text": "satu"}
        path = f"{SESSIONS}/{session_id}/messages"
        async with site.listening(mitra) as (hers, _):
            first = await site.call(customer, "POST", path, json=body)
            second = await site.call(customer, "POST", path, json=body)
            assert first == second
            assert first[0] == 201
            status, other = await site.call(customer, "POST", path, json=body | {"text": "lain"})
            assert (status, other["code"]) == (409, "message_mismatch")
            await site.call(
                customer,
                "POST",
                path,
                json={"client_message_id": str(new_id()), "text": "dua"},
            )
            assert [(await hers.next("message"))["seq"] for _ in range(2)] == [1, 2]


@pytest.mark.req("CH-08", "OP-09")
async def test_every_route_and_frame_of_a_stranger(world: World, provider: PlayedMidtrans) -> None:
    """Whoever is no party gets 404 session_not_found, on every route and every frame."""
    async with serving(world, provider) as site:
        session_id, customer, _ = await site.pair()
        await site.pay(customer, session_id, provider)
        thief, rival = await site.person("customer"), await site.person("mitra")
        shared = f"{SESSIONS}/{session_id}"
        own = f"/api/customer/chat/sessions/{session_id}"
        theirs = f"/api/mitra/chat/sessions/{session_id}/extensions/{new_id()}"
        message = {"client_message_id": str(new_id()), "text": "x"}
        calls = [
            (thief, "GET", shared, None),
            (thief, "GET", f"{shared}/messages", None),
            (thief, "POST", f"{shared}/messages", message),
            (thief, "POST", f"{shared}/read", {"seq": 1}),
            (thief, "POST", f"{shared}/end", None),
            (thief, "POST", f"{own}/payment", None),
            (thief, "POST", f"{own}/extensions", {"tier_id": "test-1"}),
            (thief, "POST", f"{own}/extensions/{new_id()}/payment", None),
            (rival, "GET", shared, None),
            (rival, "PATCH", f"{shared}/topic", {"sensitivity": "sensitive"}),
            (rival, "POST", f"{theirs}/accept", None),
            (rival, "POST", f"{theirs}/decline", None),
        ]
        for who, method, path, body in calls:
            status, problem = await site.call(who, method, path, json=body)
            assert (status, problem["code"]) == (404, "session_not_found"), path
        status, listed = await site.call(thief, "GET", SESSIONS)
        assert (status, listed["items"]) == (200, [])
        async with site.listening(thief, cursor={session_id: 0}) as (ear, state):
            assert (state["sessions"], state["messages"]) == ([], [])
            for kind, data in (
                ("message", {"client_message_id": str(new_id()), "text": "x"}),
                ("read", {"seq": 1}),
                ("delivered", {"seq": 1}),
                ("typing", {}),
                ("resume", {"after_seq": 0}),
            ):
                await ear.say(kind, session_id=session_id, **data)
                assert (await ear.next("error"))["code"] == "session_not_found", kind


@pytest.mark.req("CH-03", "OP-09")
async def test_notifications_over_http(world: World, provider: PlayedMidtrans) -> None:
    """Forged, foreign, malformed or wrong in amount: a clear refusal and no effect."""
    # Nobody asks the provider, who has been paid all the while.
    async with serving(world, provider, payment_sweep_seconds=3600) as site:
        session_id, customer, _ = await site.pair()
        _, payment = await site.call(
            customer, "POST", f"/api/customer/chat/sessions/{session_id}/payment"
        )
        good = provider.notification(payment["order_id"], "settlement")
        status, problem = await site.notify(good | {"signature_key": "0" * 128})
        assert (status, problem["code"]) == (403, "signature_invalid")
        status, problem = await site.notify({"order_id": "x"})
        assert (status, problem["code"]) == (422, "invalid_body")
        provider.amounts["tmn-foreign"] = 15000
        status, problem = await site.notify(provider.notification("tmn-foreign", "settlement"))
        assert (status, problem["code"]) == (404, "order_unknown")
        provider.amounts[payment["order_id"]] = 1
        status, problem = await site.notify(
            provider.notification(payment["order_id"], "settlement")
        )
        assert (status, problem["code"]) == (422, "amount_mismatch")
        assert await world.state(UUID(session_id)) == "pending_payment"
        assert (await site.notify(good))[0] == 200
        assert (await site.notify(good))[0] == 200
        assert await world.state(UUID(session_id)) == "active"


@pytest.mark.req("CH-02", "CC-04")
async def test_tiers(own_world: World, provider: PlayedMidtrans) -> None:
    """Editing a tier makes a version; a running session keeps its own."""
    world = own_world
    async with serving(world, provider) as site:
        session_id, customer, mitra = await site.pair()
        operator = await site.person("operator")
        path = "/api/control/settings/chat/tiers/chat-15"
        wish = {"name": "Lebih lama", "duration_seconds": 1200, "price_idr": 16000}
        status, made = await site.call(operator, "PUT", path, json=wish)
        assert (status, made["version"], made["is_offered"]) == (200, 2, True)
        _, offered = await site.call(customer, "GET", "/api/customer/tiers")
        assert {t["tier_id"]: t["version"] for t in offered["tiers"]}["chat-15"] == 2
        _, session = await site.call(customer, "GET", f"{SESSIONS}/{session_id}")
        assert (session["tier"]["version"], session["tier"]["duration_seconds"]) == (1, 900)
        await site.call(operator, "PUT", path, json=wish | {"is_offered": False})
        _, offered = await site.call(customer, "GET", "/api/customer/tiers")
        assert "chat-15" not in {t["tier_id"] for t in offered["tiers"]}
        _, versions = await site.call(operator, "GET", path)
        assert [v["version"] for v in versions["versions"]] == [3, 2, 1]
        assert (await site.call(mitra, "PUT", path, json=wish))[0] == 403
        bad = await site.call(operator, "PUT", path, json=wish | {"duration_seconds": 0})
        assert (bad[0], bad[1]["code"]) == (422, "invalid_body")
        bad = await site.call(operator, "PUT", path.replace("chat-15", "Chat!"), json=wish)
        assert bad[0] == 404


@pytest.mark.req("CC-03", "CH-10", "CH-09")
async def test_operators(world: World, provider: PlayedMidtrans) -> None:
    """Operators find, read, raise, end and cancel; each act leaves its row."""
    async with serving(world, provider) as site:
        session_id, customer, mitra = await site.pair()
        await site.pay(customer, session_id, provider)
        other_id, *_ = await site.pair()
        operator = await site.person("operator")
        base = "/api/control/chat"
        _, found = await site.call(operator, "GET", f"{base}/sessions?state=active")
        assert [s["session_id"] for s in found["items"]] == [session_id]
        _, found = await site.call(operator, "GET", f"{base}/sessions?mitra_id={mitra.user_id}")
        assert [s["session_id"] for s in found["items"]] == [session_id]
        _, first = await site.call(operator, "GET", f"{base}/sessions?limit=1")
        _, second = await site.call(
            operator, "GET", f"{base}/sessions?limit=1&cursor={first['next_cursor']}"
        )
        assert second["items"][0]["session_id"] == session_id
        status, raised = await site.call(
            operator,
            "PATCH",
            f"{SESSIONS}/{session_id}/topic",
            json={"sensitivity": "sensitive", "reason": "audit"},
        )
        assert (status, raised["sensitivity"], raised["role"]) == (200, "sensitive", "operator")
        _, record = await site.call(operator, "GET", f"{base}/sessions/{session_id}")
        assert record["payments"][0]["state"] == "paid"
        assert record["sensitivity_log"][0]["role"] == "operator"
        status, ended = await site.call(
            operator, "POST", f"{base}/sessions/{session_id}/end", json={"reason": "keluhan"}
        )
        assert (status, ended["state"]) == (200, "closing")
        _, record = await site.call(operator, "GET", f"{base}/sessions/{session_id}")
        assert record["payments"][0]["state"] in ("refund_due", "refunded")
        status, done = await site.call(operator, "POST", f"{base}/sessions/{session_id}/end")
        assert (status, done["state"]) == (200, "completed")
        status, gone = await site.call(operator, "POST", f"{base}/sessions/{other_id}/cancel")
        assert (status, gone["state"]) == (200, "cancelled")
        status, refused = await site.call(operator, "POST", f"{base}/sessions/{other_id}/end")
        assert (status, refused["code"]) == (409, "illegal_move")
        _, said = await site.call(operator, "GET", f"{base}/sessions/{session_id}/messages")
        assert said["messages"] == []
        acts = await world.admin.fetch("SELECT act FROM chat.operator_acts ORDER BY id")
        assert [row["act"] for row in acts] == [
            "session_ended",
            "session_ended",
            "session_cancelled",
            "transcript_read",
        ]
        assert (await site.call(customer, "GET", f"{base}/sessions"))[0] == 403


@pytest.mark.req("CC-05", "CC-02")
async def test_statistics(world: World, provider: PlayedMidtrans) -> None:
    """Operators see how many sessions were sensitive, who raised it, and each mitra's share."""
    async with serving(world, provider) as site:
        session_id, customer, mitra = await site.pair()
        await site.pay(customer, session_id, provider)
        await site.pair()
        raised = {"sensitivity": "sensitive"}
        await site.call(mitra, "PATCH", f"{SESSIONS}/{session_id}/topic", json=raised)
        operator = await site.person("operator")
        _, stats = await site.call(operator, "GET", "/api/control/chat/stats?days=1")
        assert stats["sessions"] == [
            {"state": "active", "sensitivity": "sensitive", "sessions": 1},
            {"state": "pending_payment", "sensitivity": "normal", "sessions": 1},
        ]
        assert stats["raised"] == [{"role": "mitra", "raised": 1}]
        assert stats["money"][0] | {"state": "paid", "amount_idr": 15000} == stats["money"][0]
        nobody = new_id()
        path = f"/api/control/chat/mitras/activity?mitra_id={mitra.user_id}&mitra_id={nobody}"
        _, activity = await site.call(operator, "GET", path)
        first, second = activity["mitras"]
        assert (first["sessions"], first["sensitive"], first["raised"]) == (1, 1, 1)
        assert (second["mitra_id"], second["sessions"]) == (str(nobody), 0)
        status, problem = await site.call(operator, "GET", "/api/control/chat/mitras/activity")
        assert (status, problem["code"]) == (422, "invalid_query")


@pytest.mark.req("AV-10", "CC-04")
async def test_capacity(world: World, provider: PlayedMidtrans) -> None:
    """Capacity is set by operators, versioned and told; lowering it ends no session."""
    async with serving(world, provider) as site:
        session_id, _, mitra = await site.pair()
        operator = await site.person("operator")
        path = f"/api/control/chat/mitras/{mitra.user_id}/capacity"
        status, now = await site.call(operator, "PATCH", path, json={"capacity": 1})
        assert (status, now["capacity"], now["load"], now["version"]) == (200, 1, 1, 2)
        assert await world.state(UUID(session_id)) == "pending_payment"
        request_id, customer_id, tier = await world.request(mitra.user_id)
        opened = await world.open(mitra.user_id, request_id, customer_id, tier)
        assert (opened["outcome"], opened["capacity"]) == ("full", 1)
        assert (await site.call(operator, "PATCH", path, json={"capacity": 21}))[0] == 422
        nobody = path.replace(str(mitra.user_id), str(new_id()))
        status, problem = await site.call(operator, "PATCH", nobody, json={"capacity": 2})
        assert (status, problem["code"]) == (404, "mitra_not_found")
        told = await world.admin.fetchval(
            "SELECT body->>'version' FROM chat.outbox"
            " WHERE subject = 'evt.chat.capacity_changed.v1'"
        )
        assert told == "2"


async def _until_closed(socket: ClientWebSocketResponse) -> None:
    """Read whatever is still told until the socket is closed."""
    async for _ in socket:
        pass


@pytest.mark.req("AU-08")
async def test_revoked_login_loses_its_socket(
    world: World, provider: PlayedMidtrans, runner: Runner, nats_url: str
) -> None:
    """A revoked login's socket is closed as soon as the push arrives."""
    async with serving(world, provider, nats_url=nats_url) as site:
        session_id, customer, _ = await site.pair()
        bus = await Bus.connect(nats_url, name="auth", runner=runner)
        told = json.dumps({"login_ids": [str(customer.login_id)]}).encode()
        async with site.listening(customer) as (ear, _):
            closed = asyncio.create_task(_until_closed(ear.socket))
            while not closed.done():
                bus.tell("rt.auth.login_revoked", told)
                await asyncio.wait([closed], timeout=0.1)
            assert ear.socket.close_code == 4403
        status, problem = await site.call(customer, "GET", f"{SESSIONS}/{session_id}")
        assert (status, problem["code"]) == (401, "login_revoked")
