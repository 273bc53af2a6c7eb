"""Midtrans, the payment provider: Snap checkout, status and refund."""

import base64
import hmac
import json
import secrets
from dataclasses import replace
from typing import Any

from aiohttp import web

from common.ids import new_id
from temani.devproviders import requests
from temani.devproviders.faults import Faults
from temani.devproviders.notifications import Notifier, amount, facts
from temani.devproviders.orders import STATUS_CODES, Order, Orders, local_time, moved

_ACTIONS = {"pay": "settlement", "deny": "deny", "expire": "expire"}


class Midtrans:
    """The shop's side (Snap and Core API) and the customer's side (checkout) of the provider."""

    def __init__(
        self,
        *,
        server_key: str,
        notification_url: str,
        public_url: str,
        orders: Orders,
        notifier: Notifier,
        faults: Faults,
    ) -> None:
        credentials = base64.b64encode(f"{server_key}:".encode()).decode()
        self._authorization = f"Basic {credentials}"
        self._notification_url = notification_url
        self._public_url = public_url
        self._orders = orders
        self._notifier = notifier
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Return what this provider serves."""
        return [
            web.post("/midtrans/snap/v1/transactions", self._create),
            web.get("/midtrans/v2/{order_id}/status", self._status),
            web.post("/midtrans/v2/{order_id}/refund", self._refund),
            web.post("/midtrans/checkout/{token}/{action:pay|deny|expire}", self._act),
            web.get("/midtrans/checkout/{token}.json", self._look),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        await requests.misbehave(self._faults, "midtrans")
        body = await requests.json_object(request)
        details = body.get("transaction_details")
        wrong = _mistakes(details, body.get("item_details"))
        if wrong:
            return web.json_response({"error_messages": wrong}, status=400)
        assert isinstance(details, dict)
        order = self._orders.get(details["order_id"])
        if order is None:
            order = self._orders.save(self._new_order(body, details, request))
        elif order.transaction_status is not None:
            taken = ["transaction_details.order_id has already been taken"]
            return web.json_response({"error_messages": taken}, status=400)
        page = f"{self._public_url}/midtrans/checkout/{order.token}"
        return web.json_response({"token": order.token, "redirect_url": page}, status=201)

    def _new_order(
        self, body: dict[str, Any], details: dict[str, Any], request: web.Request
    ) -> Order:
        customer = body.get("customer_details") or {}
        items = body.get("item_details") or [{}]
        override = request.headers.get("X-Override-Notification")
        return Order(
            order_id=details["order_id"],
            token=secrets.token_urlsafe(24),
            transaction_id=str(new_id()),
            gross_amount=int(details["gross_amount"]),
            item=str(items[0].get("name", "Temani")),
            customer=str(customer.get("first_name", "")),
            created_at=local_time(),
            notification_url=override or self._notification_url,
            finish_url=(body.get("callbacks") or {}).get("finish"),
        )

    async def _status(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        await requests.misbehave(self._faults, "midtrans")
        order = self._orders.get(request.match_info["order_id"])
        # Until the customer has chosen a way to pay there is no transaction to ask about.
        if order is None or order.transaction_status is None:
            return _missing()
        status = order.transaction_status
        return web.json_response(
            {
                **facts(order, status),
                "status_code": "407" if status == "expire" else STATUS_CODES[status],
                "status_message": "Success, transaction is found",
            }
        )

    async def _refund(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        await requests.misbehave(self._faults, "midtrans")
        order = self._orders.get(request.match_info["order_id"])
        if order is None or order.transaction_status is None:
            return _missing()
        body = await requests.json_object(request)
        key = str(body.get("refund_key") or new_id())
        wanted = int(body.get("amount", order.gross_amount - order.refunded))
        if key not in order.refunds:
            if order.transaction_status not in {"settlement", "partial_refund"} or not (
                0 < wanted <= order.gross_amount - order.refunded
            ):
                refused = {
                    "status_code": "412",
                    "status_message": "Transaction status cannot be updated.",
                }
                return web.json_response({**refused, "id": order.transaction_id})
            order = self._give_back(order, key, wanted)
        assert order.transaction_status is not None
        return web.json_response(
            {
                **facts(order, order.transaction_status),
                "status_code": "200",
                "status_message": "Success, refund request is approved",
                "refund_key": key,
                "refund_amount": amount(order.refunds[key]),
            }
        )

    def _give_back(self, order: Order, key: str, rupiah: int) -> Order:
        refunds = {**order.refunds, key: rupiah}
        whole = sum(refunds.values()) == order.gross_amount
        status = "refund" if whole else "partial_refund"
        order = self._orders.save(replace(moved(order, status), refunds=refunds))
        self._notifier.tell(order)
        return order

    def opened(self, token: str) -> Order | None:
        """Return the order of a checkout page; the first look makes it a pending transaction."""
        order = self._orders.by_token(token)
        if order is not None and order.transaction_status is None:
            order = self._orders.save(moved(order, "pending"))
            self._notifier.tell(order)
        return order

    async def _act(self, request: web.Request) -> web.Response:
        order = self._orders.by_token(request.match_info["token"])
        if order is None:
            raise web.HTTPNotFound(text="no such checkout")
        status = _ACTIONS[request.match_info["action"]]
        if order.open:
            order = self._orders.save(moved(order, status))
            self._notifier.tell(order)
        elif order.transaction_status != status:
            raise web.HTTPConflict(text=f"this order is {order.transaction_status}")
        return web.json_response(shown(order))

    async def _look(self, request: web.Request) -> web.Response:
        order = self._orders.by_token(request.match_info["token"])
        if order is None:
            raise web.HTTPNotFound(text="no such checkout")
        return web.json_response(shown(order))

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self._authorization.encode()):
            refusal = ["Access denied due to unauthorized transaction, please check server key"]
            raise web.HTTPUnauthorized(
                text=json.dumps({"error_messages": refusal}), content_type="application/json"
            )


def shown(order: Order) -> dict[str, Any]:
    """Return what the checkout page and the list of orders show."""
    return {
        "order_id": order.order_id,
        "token": order.token,
        "item": order.item,
        "customer": order.customer,
        "gross_amount": order.gross_amount,
        "transaction_status": order.transaction_status or "new",
        "told": order.told,
        "open": order.open,
        "created_at": order.created_at,
        "refunded": order.refunded,
        "finish_url": order.finish_url,
    }


def _mistakes(details: object, items: object) -> list[str]:
    if not isinstance(details, dict):
        return ["transaction_details is required"]
    wrong = []
    order_id, gross = details.get("order_id"), details.get("gross_amount")
    if not isinstance(order_id, str) or not 0 < len(order_id) <= 50:
        wrong.append("transaction_details.order_id is required, at most 50 characters")
    if not isinstance(gross, int) or isinstance(gross, bool) or gross < 1:
        wrong.append("transaction_details.gross_amount is not a whole number above zero")
    if isinstance(items, list) and items and not wrong:
        total = sum(int(item.get("price", 0)) * int(item.get("quantity", 1)) for item in items)
        if total != gross:
            wrong.append("transaction_details.gross_amount is not equal to the sum of item_details")
    return wrong


def _missing() -> web.Response:
    # This API answers HTTP 200 and puts the outcome into the body.
    return web.json_response(
        {"status_code": "404", "status_message": "Transaction doesn't exist.", "id": str(new_id())}
    )
