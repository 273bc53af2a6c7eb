"""The adapter speaks Midtrans' wire: checkout, status, refund, signatures."""

from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from services.chat.tests.midtrans import SERVER_KEY, PlayedMidtrans, playing, raw

from chat import errors
from chat.providers.midtrans import Midtrans
from temani.ports import free_port


@pytest.fixture
async def played() -> AsyncIterator[PlayedMidtrans]:
    """A played provider."""
    async with playing() as provider:
        yield provider


@pytest.fixture
async def adapter(played: PlayedMidtrans) -> AsyncIterator[Midtrans]:
    """The adapter, pointed at it."""
    async with aiohttp.ClientSession() as session:
        yield adapter_to(session, played.url)


def adapter_to(session: aiohttp.ClientSession, url: str, key: str = SERVER_KEY) -> Midtrans:
    """Point the adapter somewhere."""
    return Midtrans(
        session=session,
        snap_url=f"{url}/snap/v1",
        api_url=f"{url}/v2/",
        server_key=key,
        timeout_seconds=20,
    )


async def opened(adapter: Midtrans, order_id: str = "tmn-1", amount: int = 15000) -> str:
    """Open a checkout and return its order id."""
    await adapter.create(order_id, amount_idr=amount, item="session", hold=timedelta(seconds=120))
    return order_id


@pytest.mark.req("CH-03")
async def test_checkout(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """A checkout names the order, the whole amount and how long the page lives."""
    checkout = await adapter.create(
        "tmn-1", amount_idr=15000, item="session", hold=timedelta(seconds=90)
    )
    assert checkout.token == "token-tmn-1"
    assert checkout.redirect_url.endswith("/pay/tmn-1")
    (body,) = played.bodies
    assert body["transaction_details"] == {"order_id": "tmn-1", "gross_amount": 15000}
    assert sum(item["price"] * item["quantity"] for item in body["item_details"]) == 15000
    assert body["expiry"] == {"unit": "minutes", "duration": 2}


@pytest.mark.req("CH-03")
async def test_order_taken(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """An order id that was used is told apart from every other refusal."""
    played.statuses["tmn-1"] = "pending"
    with pytest.raises(errors.OrderTaken):
        await opened(adapter)


@pytest.mark.req("CH-03")
@pytest.mark.parametrize(
    ("status", "fraud", "verdict"),
    [
        ("settlement", "accept", "paid"),
        ("capture", "accept", "paid"),
        ("capture", "challenge", "pending"),
        ("capture", "deny", "failed"),
        ("pending", "accept", "pending"),
        ("deny", "accept", "failed"),
        ("cancel", "accept", "failed"),
        ("expire", "accept", "expired"),
        ("refund", "accept", "refunded"),
        ("partial_refund", "accept", "refunded"),
    ],
)
async def test_words(
    adapter: Midtrans, played: PlayedMidtrans, status: str, fraud: str, verdict: str
) -> None:
    """Each status of a transaction has one meaning; a challenged payment is not paid yet."""
    order_id = await opened(adapter)
    body = played.notification(order_id, status, fraud_status=fraud)
    word = adapter.read_notification(raw(body))
    assert (word.order_id, word.verdict, word.amount_idr) == (order_id, verdict, 15000)


@pytest.mark.req("CH-03")
async def test_how_much_went_back(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """A notification of a refund says how much of the payment went back."""
    order_id = await opened(adapter)
    body = played.notification(order_id, "partial_refund", refund_amount="4000.00")
    word = adapter.read_notification(raw(body))
    assert (word.verdict, word.amount_idr, word.refunded_idr) == ("refunded", 15000, 4000)


@pytest.mark.req("CH-03")
async def test_status_says_the_same(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """Asked, the provider says what it would have notified; nothing before anybody tried to pay."""
    order_id = await opened(adapter)
    assert await adapter.status(order_id) is None
    notified = adapter.read_notification(raw(played.notification(order_id, "settlement")))
    assert await adapter.status(order_id) == notified


@pytest.mark.req("CH-03")
@pytest.mark.parametrize(
    "forge",
    [
        {"gross_amount": "1.00"},
        {"order_id": "tmn-2"},
        {"status_code": "201"},
        {"signature_key": ""},
        {"signature_key": "é" * 128},
        {"signature_key": None},
    ],
)
async def test_forged(
    adapter: Midtrans, played: PlayedMidtrans, forge: dict[str, str | None]
) -> None:
    """What is not signed with our key is refused, whatever it says."""
    await opened(adapter)
    with pytest.raises(errors.NotificationForged):
        adapter.read_notification(raw(played.notification("tmn-1", "settlement") | forge))


@pytest.mark.req("CH-03")
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{}", b"\xff"])
async def test_nonsense(adapter: Midtrans, body: bytes) -> None:
    """What is no notification at all is refused the same way."""
    with pytest.raises(errors.NotificationForged):
        adapter.read_notification(body)


@pytest.mark.req("CH-03")
async def test_refund(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """Money goes back under a key, so that a repeated call gives it back once."""
    order_id = await opened(adapter)
    played.notification(order_id, "settlement")
    for _ in range(2):
        word = await adapter.refund(order_id, refund_key="k1", amount_idr=5000, reason="unused")
        assert word is not None
        assert word.verdict == "refunded"
    assert list(played.refunds) == ["k1"]


@pytest.mark.req("CH-03")
async def test_unsettled_card_is_cancelled(adapter: Midtrans, played: PlayedMidtrans) -> None:
    """A card payment that is not settled cannot be refunded: it is cancelled as a whole."""
    order_id = await opened(adapter)
    played.notification(order_id, "capture")
    assert await adapter.refund(order_id, refund_key="k", amount_idr=5000, reason="x") is None
    assert played.cancelled == []
    word = await adapter.refund(order_id, refund_key="k", amount_idr=15000, reason="x")
    assert word is not None
    assert played.cancelled == [order_id]


@pytest.mark.req("CH-03")
@pytest.mark.parametrize("broken", ["500", "garbage"])
async def test_faults_are_unknown(adapter: Midtrans, played: PlayedMidtrans, broken: str) -> None:
    """A fault of the provider is no answer: nothing is concluded from it."""
    played.broken = broken
    for call in (
        opened(adapter),
        adapter.status("tmn-1"),
        adapter.refund("tmn-1", refund_key="k", amount_idr=1, reason="x"),
    ):
        with pytest.raises(errors.PaymentUnavailable):
            await call


@pytest.mark.req("CH-03")
async def test_wrong_key_and_nobody_there(played: PlayedMidtrans) -> None:
    """A refused key and a dead address are no answers either."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(errors.PaymentUnavailable):
            await opened(adapter_to(session, played.url, key="wrong"))
        with pytest.raises(errors.PaymentUnavailable):
            await opened(adapter_to(session, f"http://127.0.0.1:{free_port()}"))
