"""Midtrans as its documents describe it, played by the test: Snap, status, refund, signatures."""

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SERVER_KEY = "SB-Mid-server-only-for-tests"
_CODES = {
    "settlement": "200",
    "capture": "200",
    "pending": "201",
    "deny": "202",
    "cancel": "200",
    "expire": "407",
    "refund": "200",
    "partial_refund": "200",
}


@dataclass
class PlayedMidtrans:
    """Orders by id; `statuses` hold what the customer did."""

    url: str = ""
    amounts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""

    def notification(self, order_id: str, status: str, **changes: Any) -> dict[str, Any]:
        """Make a signed notification; `changes` come after the signature."""
        self.statuses[order_id] = status
        gross = f"{self.amounts[order_id]}.00"
        code = _CODES[status]
        signed = f"{order_id}{code}{gross}{SERVER_KEY}".encode()
        return {
            "transaction_id": f"t-{order_id}",
            "order_id": order_id,
            "status_code": code,
            "gross_amount": gross,
            "signature_key": hashlib.sha512(signed).hexdigest(),
            "transaction_status": status,
            "payment_type": "qris",
            "fraud_status": "accept",
            "transaction_time": "2026-11-23 12:00:00",
            "merchant_id": "M1",
            **changes,
        }

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.post("/snap/v1/transactions", self._create),
            web.get("/v2/{order_id}/status", self._status),
            web.post("/v2/{order_id}/refund", self._refund),
            web.post("/v2/{order_id}/cancel", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if (fault := self._fault(request)) is not None:
            return fault
        body = await request.json()
        self.bodies.append(body)
        order_id = body["transaction_details"]["order_id"]
        if order_id in self.statuses:
            taken = ["transaction_details.order_id has already been taken"]
            return web.json_response({"error_messages": taken}, status=400)
        self.amounts[order_id] = body["transaction_details"]["gross_amount"]
        page = {"token": f"token-{order_id}", "redirect_url": f"{self.url}/pay/{order_id}"}
        return web.json_response(page, status=201)

    async def _status(self, request: web.Request) -> web.Response:
        if (fault := self._fault(request)) is not None:
            return fault
        order_id = request.match_info["order_id"]
        if order_id not in self.statuses:
            missing = {"status_code": "404", "status_message": "Transaction doesn't exist."}
            return web.json_response(missing)
        return web.json_response(self.notification(order_id, self.statuses[order_id]))

    async def _refund(self, request: web.Request) -> web.Response:
        if (fault := self._fault(request)) is not None:
            return fault
        order_id, body = request.match_info["order_id"], await request.json()
        if self.statuses.get(order_id) not in ("settlement", "partial_refund", "refund"):
            return web.json_response({"status_code": "412", "status_message": "cannot modify"})
        self.refunds[body["refund_key"]] = body
        whole = body["amount"] == self.amounts[order_id]
        answer = self.notification(order_id, "refund" if whole else "partial_refund")
        return web.json_response({**answer, "status_code": "200"})

    async def _cancel(self, request: web.Request) -> web.Response:
        order_id = request.match_info["order_id"]
        self.cancelled.append(order_id)
        return web.json_response(self.notification(order_id, "cancel"))

    def _fault(self, request: web.Request) -> web.Response | None:
        expected = "Basic " + base64.b64encode(f"{SERVER_KEY}:".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return web.json_response({"error_messages": ["Access denied"]}, status=401)
        if self.broken == "500":
            return web.Response(status=500, text="<html>oops</html>")
        if self.broken == "garbage":
            return web.Response(status=200, text="[1, 2")
        return None


@contextlib.asynccontextmanager
async def playing() -> AsyncIterator[PlayedMidtrans]:
    """Serve a played Midtrans on a free port."""
    played = PlayedMidtrans()
    app = web.Application()
    app.add_routes(played.routes())
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    played.url = f"http://127.0.0.1:{address[1]}"
    try:
        yield played
    finally:
        await runner.cleanup()


def raw(notification: dict[str, Any]) -> bytes:
    """Return the body of a notification."""
    return json.dumps(notification).encode()
