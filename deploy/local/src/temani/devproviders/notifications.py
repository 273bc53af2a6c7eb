"""Telling the shop what happened to an order, again and again until it answers 200."""

import asyncio
import hashlib
import logging
from dataclasses import replace

import aiohttp

from temani.devproviders.background import Background
from temani.devproviders.faults import Faults
from temani.devproviders.orders import STATUS_CODES, Order, Orders

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_TRIES = 60  # about a quarter of an hour; the real one gives up after a day
_STATE_BEFORE = {"settlement": "pending", "expire": "pending", "deny": "pending"}


def amount(rupiah: int) -> str:
    """Return an amount as this provider writes it."""
    return f"{rupiah}.00"


def facts(order: Order, status: str) -> dict[str, str]:
    """Return what notifications and status answers both say about an order."""
    told = {
        "transaction_id": order.transaction_id,
        "order_id": order.order_id,
        "merchant_id": "G000000000",
        "gross_amount": amount(order.gross_amount),
        "currency": "IDR",
        "payment_type": "qris",
        "acquirer": "gopay",
        "transaction_status": status,
        "transaction_time": order.transaction_time or "",
        "fraud_status": "deny" if status == "deny" else "accept",
    }
    if order.settlement_time is not None and status not in {"pending", "deny", "expire"}:
        told["settlement_time"] = order.settlement_time
    if order.refunds and status in {"refund", "partial_refund"}:
        told["refund_amount"] = amount(order.refunded)
    return told


def notification(order: Order, status: str, server_key: str) -> dict[str, str]:
    """Return a signed notification."""
    code = STATUS_CODES[status]
    gross = amount(order.gross_amount)
    signed = f"{order.order_id}{code}{gross}{server_key}".encode()
    return {
        **facts(order, status),
        "status_code": code,
        "status_message": "midtrans payment notification",
        "signature_key": hashlib.sha512(signed).hexdigest(),
    }


class Notifier:
    """Sends notifications in the background, with whatever faults are ordered."""

    def __init__(
        self,
        *,
        server_key: str,
        http: aiohttp.ClientSession,
        orders: Orders,
        faults: Faults,
        background: Background,
    ) -> None:
        self._key = server_key
        self._http = http
        self._orders = orders
        self._faults = faults
        self._background = background

    def tell(self, order: Order) -> None:
        """Tell the shop the order's present state."""
        status = order.transaction_status
        assert status is not None
        if self._faults.take("midtrans", "lost"):
            return
        self._background.run(self._tell(order, status))

    def tell_rest(self) -> None:
        """Tell all states that were not confirmed before this process began."""
        for order in self._orders.all():
            if order.transaction_status not in {None, order.told}:
                self.tell(order)

    async def _tell(self, order: Order, status: str) -> None:
        if late := self._faults.take("midtrans", "late"):
            await asyncio.sleep(late.seconds)
        body = notification(order, status, self._key)
        if self._faults.take("midtrans", "bad_signature"):
            await self._post(order, notification(order, status, "another key"))
        if self._faults.take("midtrans", "duplicate"):
            await asyncio.gather(self._post(order, body), self._post(order, body))
        await self._until_confirmed(order, status, body)
        before = _STATE_BEFORE.get(status)
        if before and self._faults.take("midtrans", "out_of_order"):
            await self._post(order, notification(order, before, self._key))

    async def _until_confirmed(self, order: Order, status: str, body: dict[str, str]) -> None:
        pause = _FIRST_PAUSE
        for _ in range(_TRIES):
            if await self._post(order, body) == 200:
                now = self._orders.get(order.order_id)
                if now is not None:
                    self._orders.save(replace(now, told=status))
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        _log.error("the shop never confirmed order %s as %s", order.order_id, status)

    async def _post(self, order: Order, body: dict[str, str]) -> int | None:
        try:
            async with self._http.post(order.notification_url, json=body) as answer:
                _log.info(
                    "told %s %s: %s", order.order_id, body["transaction_status"], answer.status
                )
                return answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("could not tell %s: %s", order.order_id, error)
            return None
