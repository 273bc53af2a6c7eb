"""The simulated providers speak the real ones' wire formats, and misbehave on request."""

import asyncio
import base64
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from common.testing import eventually
from temani.devproviders.app import build
from temani.devproviders.settings import Settings

_KEY = "SB-Mid-server-test"
_BASIC = {"Authorization": "Basic " + base64.b64encode(f"{_KEY}:".encode()).decode()}
_BEARER = {"Authorization": "Bearer merchant"}
_PHONE = "6281200000101"

Client = TestClient[web.Request, web.Application]


class Shop:
    """Receives notifications; answers with the next status of `answers`, then 200."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.answers: list[int] = []

    async def notified(self, request: web.Request) -> web.Response:
        """Take a notification."""
        self.told.append(await request.json())
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    def statuses(self) -> list[str]:
        """Return what was told, in order."""
        return [body["transaction_status"] for body in self.told]


@pytest.fixture
async def shop() -> AsyncIterator[tuple[Shop, str]]:
    """A shop and the address of its notifications."""
    receiver = Shop()
    app = web.Application()
    app.router.add_post("/notification", receiver.notified)
    server = TestServer(app)
    await server.start_server()
    yield receiver, str(server.make_url("/notification"))
    await server.close()


def _settings(url: str, orders: Path) -> Settings:
    return Settings(
        http_host="127.0.0.1",
        http_port=8090,
        otp_merchant_key="merchant",
        payment_server_key=_KEY,
        notification_url=url,
        public_url="http://127.0.0.1:8090",
        orders_file=orders,
    )


@pytest.fixture
async def client(shop: tuple[Shop, str], tmp_path: Path) -> AsyncIterator[Client]:
    """The providers, telling that shop."""
    app = await build(_settings(shop[1], tmp_path / "orders.json"))
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def _send(client: Client, **changes: str) -> dict[str, Any]:
    body = {"phone": _PHONE, "gateway_key": "gateway-whatsapp-1", "otp": "123456", **changes}
    async with client.post("/fazpass/v1/otp/send", json=body, headers=_BEARER) as answer:
        value: dict[str, Any] = await answer.json()
        return value


async def _create(client: Client, order_id: str, gross: int = 15_000) -> str:
    body = {"transaction_details": {"order_id": order_id, "gross_amount": gross}}
    async with client.post("/midtrans/snap/v1/transactions", json=body, headers=_BASIC) as answer:
        value = await answer.json()
        assert answer.status == 201, value
        assert value["redirect_url"].endswith(value["token"])
        return str(value["token"])


async def _act(client: Client, token: str, action: str) -> int:
    async with client.post(f"/midtrans/checkout/{token}/{action}") as answer:
        return answer.status


async def _status(client: Client, order_id: str) -> dict[str, Any]:
    async with client.get(f"/midtrans/v2/{order_id}/status", headers=_BASIC) as answer:
        assert answer.status == 200
        value: dict[str, Any] = await answer.json()
        return value


async def _fault(client: Client, provider: str, kind: str, **more: float) -> None:
    body = {"provider": provider, "kind": kind, **more}
    async with client.post("/dev/faults", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def _inbox(client: Client, query: str = "") -> list[dict[str, Any]]:
    async with client.get(f"/dev/inbox.json{query}") as answer:
        messages: list[dict[str, Any]] = (await answer.json())["messages"]
        return messages


@pytest.mark.req("AU-01")
async def test_a_code_reaches_its_phone(client: Client) -> None:
    """What is sent with a phone without plus sign is in the inbox of the phone with it."""
    answer = await _send(client)
    assert answer["status"] is True
    assert answer["data"]["otp_length"] == 6
    [message] = await _inbox(client, "?to=%2B" + _PHONE)
    assert (message["to"], message["code"]) == ("+" + _PHONE, "123456")
    assert message["channel"] == "whatsapp"
    assert await _inbox(client, "?to=+" + _PHONE) == [message]
    assert await _inbox(client, "?to=%2B628999") == []


async def test_the_inbox_can_be_waited_for(client: Client) -> None:
    """A reader who asks to wait gets the message the moment it comes, and only newer ones."""
    await _send(client, otp="111111")
    [first] = await _inbox(client)
    waiting = asyncio.ensure_future(_inbox(client, f"?wait=10&after={first['id']}"))
    await _send(client, otp="222222", gateway_key="gateway-sms-1")
    async with asyncio.timeout(20):
        [second] = await waiting
    assert (second["code"], second["channel"]) == ("222222", "sms")


async def test_fazpass_refuses_like_the_real_one(client: Client) -> None:
    """A wrong key is 401; a request it cannot use is 200 with status false."""
    wrong = {"Authorization": "Bearer other"}
    async with client.post("/fazpass/v1/otp/send", json={}, headers=wrong) as answer:
        assert answer.status == 401
    assert (await _send(client, otp="x"))["status"] is False
    assert (await _send(client, phone="+62812"))["status"] is False
    assert await _inbox(client) == []


async def test_fazpass_faults(client: Client) -> None:
    """Ordered faults happen as often as ordered, then everything is well again."""
    await _fault(client, "fazpass", "error")
    body = {"phone": _PHONE, "gateway_key": "g", "otp": "123456"}
    async with client.post("/fazpass/v1/otp/send", json=body, headers=_BEARER) as answer:
        assert answer.status == 500
    await _fault(client, "fazpass", "lost")
    assert (await _send(client))["status"] is True
    assert await _inbox(client) == []
    await _fault(client, "fazpass", "duplicate")
    await _send(client)
    assert len(await _inbox(client)) == 2
    await _fault(client, "fazpass", "late", seconds=0.05)
    await _send(client, otp="777777")
    await eventually(lambda: _last_code_is(client, "777777"))
    async with client.get("/dev/faults") as listed:
        assert await listed.json() == {"faults": []}


async def _last_code_is(client: Client, code: str) -> bool:
    return (await _inbox(client))[-1]["code"] == code


@pytest.mark.req("CH-03")
async def test_a_payment_is_told_signed(client: Client, shop: tuple[Shop, str]) -> None:
    """The notification carries the real signature, and the status route says the same."""
    token = await _create(client, "order-1")
    assert (await _status(client, "order-1"))["status_code"] == "404"
    assert await _act(client, token, "pay") == 200
    await eventually(lambda: shop[0].told)
    [body] = shop[0].told
    signed = f"order-1{body['status_code']}{body['gross_amount']}{_KEY}".encode()
    assert body["signature_key"] == hashlib.sha512(signed).hexdigest()
    assert (body["gross_amount"], body["transaction_status"]) == ("15000.00", "settlement")
    assert body["fraud_status"] == "accept"
    status = await _status(client, "order-1")
    assert (status["status_code"], status["transaction_status"]) == ("200", "settlement")
    assert status["transaction_id"] == body["transaction_id"]


async def test_opening_the_checkout_makes_it_pending(
    client: Client, shop: tuple[Shop, str]
) -> None:
    """The first look at the checkout creates the transaction; then it can expire."""
    token = await _create(client, "order-2")
    async with client.get(f"/midtrans/checkout/{token}") as page:
        assert page.status == 200
        assert "QRIS" in await page.text()
    await eventually(lambda: shop[0].statuses() == ["pending"])
    assert (await _status(client, "order-2"))["status_code"] == "201"
    assert await _act(client, token, "expire") == 200
    assert (await _status(client, "order-2"))["status_code"] == "407"
    assert await _act(client, token, "pay") == 409
    await eventually(lambda: shop[0].statuses() == ["pending", "expire"])


async def test_a_denied_try_may_be_repeated(client: Client, shop: tuple[Shop, str]) -> None:
    """A denied order can still be paid."""
    token = await _create(client, "order-3")
    await _act(client, token, "deny")
    await eventually(lambda: shop[0].statuses() == ["deny"])
    await _act(client, token, "pay")
    await eventually(lambda: shop[0].statuses() == ["deny", "settlement"])


async def test_notifications_are_repeated_until_200(client: Client, shop: tuple[Shop, str]) -> None:
    """A shop that fails is told again."""
    shop[0].answers = [500]
    await _act(client, await _create(client, "order-4"), "pay")
    await eventually(lambda: len(shop[0].told) == 2)
    assert shop[0].told[0] == shop[0].told[1]


async def test_notification_faults(client: Client, shop: tuple[Shop, str]) -> None:
    """Lost, late, double, badly signed and out-of-order notifications come as ordered."""
    for kind in ("bad_signature", "duplicate", "out_of_order"):
        await _fault(client, "midtrans", kind)
    await _fault(client, "midtrans", "late", seconds=0.05)
    await _act(client, await _create(client, "order-5"), "pay")
    await eventually(lambda: len(shop[0].told) == 5)
    assert shop[0].statuses() == ["settlement"] * 4 + ["pending"]
    assert shop[0].told[0]["signature_key"] != shop[0].told[1]["signature_key"]
    await _fault(client, "midtrans", "lost")
    await _act(client, await _create(client, "order-6"), "pay")
    assert (await _status(client, "order-6"))["transaction_status"] == "settlement"
    assert len(shop[0].told) == 5


async def test_a_refund_happens_once_for_its_key(client: Client, shop: tuple[Shop, str]) -> None:
    """The same refund key is the same refund; more than was paid is refused."""
    token = await _create(client, "order-7", 10_000)
    await _act(client, token, "pay")
    url = "/midtrans/v2/order-7/refund"
    for _ in range(2):
        body = {"refund_key": "r-1", "amount": 10_000, "reason": "late"}
        async with client.post(url, json=body, headers=_BASIC) as answer:
            assert (await answer.json())["status_code"] == "200"
    async with client.post(url, json={"refund_key": "r-2", "amount": 1}, headers=_BASIC) as answer:
        assert (await answer.json())["status_code"] == "412"
    assert (await _status(client, "order-7"))["transaction_status"] == "refund"
    # Each is told beside the other: the real one promises no order either.
    await eventually(lambda: sorted(shop[0].statuses()) == ["refund", "settlement"])


async def test_snap_refuses_like_the_real_one(client: Client) -> None:
    """A wrong key is 401; a wrong amount and a used order are 400, with messages."""
    url = "/midtrans/snap/v1/transactions"
    async with client.post(url, json={}) as answer:
        assert answer.status == 401
        assert (await answer.json())["error_messages"]
    body: dict[str, Any] = {"transaction_details": {"order_id": "o", "gross_amount": 10}}
    async with client.post(
        url, json={**body, "item_details": [{"price": 9, "quantity": 1}]}, headers=_BASIC
    ) as answer:
        assert answer.status == 400
    await _act(client, await _create(client, "o", 10), "pay")
    async with client.post(url, json=body, headers=_BASIC) as answer:
        assert answer.status == 400


async def test_orders_survive_a_restart(shop: tuple[Shop, str], tmp_path: Path) -> None:
    """After a restart the orders are there, and what the shop was not told is told."""
    settings = _settings(shop[1], tmp_path / "orders.json")
    async with TestClient(TestServer(await build(settings))) as first:
        token = await _create(first, "order-8")
        await _fault(first, "midtrans", "lost")
        await _act(first, token, "pay")
    assert shop[0].told == []
    async with TestClient(TestServer(await build(settings))) as second:
        assert (await _status(second, "order-8"))["transaction_status"] == "settlement"
        await eventually(lambda: shop[0].statuses() == ["settlement"])


async def test_the_pages_are_there_and_live(client: Client) -> None:
    """The inbox page loads only its own files, and new messages stream to it."""
    for path in ("/dev/inbox", "/dev/dev.css", "/dev/inbox.js", "/dev/checkout.js"):
        async with client.get(path) as page:
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    async with client.get("/dev/inbox/stream") as stream:
        await _send(client, otp="424242")
        async with asyncio.timeout(20):
            async for line in stream.content:
                if line.startswith(b"data:"):
                    assert b"424242" in line
                    break


@pytest.mark.parametrize("body", [{}, {"provider": "x"}, {"provider": "fazpass", "kind": "boom"}])
async def test_an_unknown_fault_is_refused(client: Client, body: dict[str, str]) -> None:
    """A fault that does not exist is a clear 400."""
    async with client.post("/dev/faults", json=body) as answer:
        assert answer.status == 400
        assert " is one of " in await answer.text()


@pytest.mark.parametrize("environment", ["production", "Production", "prod", "staging", ""])
def test_it_refuses_to_start_in_production(environment: str) -> None:
    """Anywhere but locally and in tests the process ends at once and says why."""
    done = subprocess.run(
        [sys.executable, "-m", "temani.devproviders"],
        env={"ENVIRONMENT": environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"production" in done.stderr


async def test_the_shop_being_away_is_no_crash(tmp_path: Path) -> None:
    """With nobody at the notification address the providers go on serving."""
    settings = _settings("http://127.0.0.1:9/notification", tmp_path / "orders.json")
    async with TestClient(TestServer(await build(settings))) as client:
        await _act(client, await _create(client, "order-9"), "pay")
        assert (await _status(client, "order-9"))["transaction_status"] == "settlement"


def test_aiohttp_is_new_enough() -> None:
    """The floor that closes known holes in parsing."""
    assert tuple(int(part) for part in aiohttp.__version__.split(".")[:3]) >= (3, 14, 5)
