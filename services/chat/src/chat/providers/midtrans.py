"""Midtrans: Snap checkout, status, refund, and its signed notifications."""

import base64
import hashlib
import hmac
import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import aiohttp
import orjson
from prometheus_client import Counter, Histogram

from chat import errors
from chat.domain.payments import ProviderWord, Verdict
from chat.ports import Checkout
from common.log import get_logger

log = get_logger("midtrans")
calls = Counter("payment_calls_total", "Calls to the payment provider", ["call", "outcome"])
seconds = Histogram("payment_call_seconds", "Calls to the payment provider", ["call"])

_ANSWER_BYTES: Final = 64 * 1024
_VERDICTS: Final[Mapping[str, Verdict]] = {
    "settlement": "paid",
    "capture": "paid",
    "deny": "failed",
    "cancel": "failed",
    "failure": "failed",
    "expire": "expired",
    "refund": "refunded",
    "partial_refund": "refunded",
}


class Midtrans:
    """The provider's HTTP API; a fault of the network is PaymentUnavailable: outcome unknown."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        snap_url: str,
        api_url: str,
        server_key: str,
        timeout_seconds: float,
    ) -> None:
        self._session = session
        self._snap_url = snap_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._server_key = server_key
        credentials = base64.b64encode(f"{server_key}:".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def create(
        self, order_id: str, *, amount_idr: int, item: str, hold: timedelta
    ) -> Checkout:
        """Open a checkout page; OrderTaken when the order id is known already."""
        status, answer = await self._call(
            "create",
            "POST",
            f"{self._snap_url}/transactions",
            {
                "transaction_details": {"order_id": order_id, "gross_amount": amount_idr},
                "item_details": [
                    {"id": item, "name": f"Temani {item}", "price": amount_idr, "quantity": 1}
                ],
                "credit_card": {"secure": True},
                # Whole minutes, at least one: a page that outlives our hold ends in a refund.
                "expiry": {
                    "unit": "minutes",
                    "duration": max(1, math.ceil(hold.total_seconds() / 60)),
                },
            },
        )
        if status == 201 and answer.get("token") and answer.get("redirect_url"):
            return Checkout(str(answer["token"]), str(answer["redirect_url"]))
        reasons = " ".join(str(reason) for reason in answer.get("error_messages", []))
        if status == 400 and "order_id" in reasons and _says_taken(reasons):
            raise errors.OrderTaken
        raise self._unexpected("create", status, reasons)

    async def status(self, order_id: str) -> ProviderWord | None:
        """Return what the provider knows of an order; None when nobody has tried to pay it."""
        status, answer = await self._call("status", "GET", f"{self._api_url}/{order_id}/status")
        if status == 404 or answer.get("status_code") == "404":
            return None
        if status != 200 or answer.get("order_id") != order_id:
            raise self._unexpected("status", status, str(answer.get("status_message", "")))
        return _word(answer)

    async def refund(
        self, order_id: str, *, refund_key: str, amount_idr: int, reason: str
    ) -> ProviderWord | None:
        """Give money back, once per key; None when the provider refuses to."""
        body = {"refund_key": refund_key, "amount": amount_idr, "reason": reason}
        status, answer = await self._call(
            "refund", "POST", f"{self._api_url}/{order_id}/refund", body
        )
        code = str(answer.get("status_code", status))
        if code == "200":
            return _as_refund(answer, order_id)
        if code in ("404", "412", "414", "418"):
            return await self._after_refusal(order_id, amount_idr)
        raise self._unexpected("refund", status, str(answer.get("status_message", "")))

    def read_notification(self, body: bytes) -> ProviderWord:
        """Check the signature of a notification and return what it says."""
        try:
            said = orjson.loads(body)
            given = str(said["signature_key"])
            signed = f"{said['order_id']}{said['status_code']}{said['gross_amount']}"
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise errors.NotificationForged from None
        expected = hashlib.sha512(f"{signed}{self._server_key}".encode()).hexdigest()
        if not hmac.compare_digest(given.lower().encode(), expected.encode()):
            log.warning("notification_forged")
            raise errors.NotificationForged
        return _word(said)

    async def _after_refusal(self, order_id: str, amount_idr: int) -> ProviderWord | None:
        """A card payment that is not settled yet cannot be refunded, only cancelled as a whole."""
        status, answer = await self._call("status", "GET", f"{self._api_url}/{order_id}/status")
        if status != 200 or answer.get("order_id") != order_id:
            return None
        if answer.get("transaction_status") in ("refund", "partial_refund"):
            return _as_refund(answer, order_id)
        if answer.get("transaction_status") != "capture" or _rupiah(answer) != amount_idr:
            return None
        _, cancelled = await self._call("cancel", "POST", f"{self._api_url}/{order_id}/cancel", {})
        if str(cancelled.get("status_code")) != "200":
            return None
        return _as_refund(cancelled, order_id)

    async def _call(
        self, call: str, method: Literal["GET", "POST"], url: str, body: object = None
    ) -> tuple[int, dict[str, Any]]:
        try:
            with seconds.labels(call).time():
                async with self._session.request(
                    method,
                    url,
                    data=None if body is None else orjson.dumps(body),
                    headers=self._headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                ) as response:
                    raw = await response.content.read(_ANSWER_BYTES)
                    answer = orjson.loads(raw) if raw else {}
                    status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError) as error:
            calls.labels(call, "unknown").inc()
            log.warning("payment_provider_away", call=call, error=type(error).__name__)
            raise errors.PaymentUnavailable from error
        calls.labels(call, str(status)).inc()
        if not isinstance(answer, dict):
            raise self._unexpected(call, status, "the answer is no object")
        return status, answer

    @staticmethod
    def _unexpected(call: str, status: int, reason: str) -> errors.PaymentUnavailable:
        log.error("payment_provider_refused", call=call, status=status, reason=reason[:200])
        return errors.PaymentUnavailable()


def _word(said: Mapping[str, Any]) -> ProviderWord:
    status = str(said.get("transaction_status", ""))
    fraud = str(said.get("fraud_status") or "accept")
    verdict = _VERDICTS.get(status, "pending")
    if verdict == "paid" and fraud != "accept":
        # Challenged: the provider's people decide; another word follows.
        verdict = "pending" if fraud == "challenge" else "failed"
        status = f"{status}:{fraud}"
    return ProviderWord(
        order_id=str(said["order_id"]),
        transaction_id=str(said.get("transaction_id", ""))[:100],
        status=status[:40],
        verdict=verdict,
        amount_idr=_rupiah(said),
        refunded_idr=_rupiah(said, "refund_amount") if "refund_amount" in said else None,
    )


def _as_refund(answer: Mapping[str, Any], order_id: str) -> ProviderWord:
    return ProviderWord(
        order_id=order_id,
        transaction_id=str(answer.get("transaction_id", ""))[:100],
        status=str(answer.get("transaction_status", "refund"))[:40],
        verdict="refunded",
        amount_idr=_rupiah(answer),
    )


def _rupiah(said: Mapping[str, Any], name: str = "gross_amount") -> int:
    """Read an amount such as "10000.00"; rupiah have no cents."""
    try:
        amount = Decimal(str(said[name]))
    except (KeyError, InvalidOperation):
        raise errors.AmountMismatch from None
    if not amount.is_finite() or amount != amount.to_integral_value() or not 0 < amount < 2**31:
        raise errors.AmountMismatch
    return int(amount)


def _says_taken(reasons: str) -> bool:
    return any(word in reasons for word in ("taken", "digunakan", "used", "utilized"))
