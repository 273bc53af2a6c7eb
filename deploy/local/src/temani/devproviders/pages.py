"""What a developer sees: the inbox of all phones, the checkout, the orders and the fault panel."""

import json
from dataclasses import asdict
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from temani.devproviders import faults as fault_rules
from temani.devproviders import requests
from temani.devproviders.faults import Faults
from temani.devproviders.inbox import Inbox, phone
from temani.devproviders.midtrans import Midtrans, shown
from temani.devproviders.orders import Orders

_FOLDER = Path(__file__).with_name("pages")
_LONGEST_WAIT_SECONDS = 30.0
_STREAM_BEAT_SECONDS = 10.0
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'",
}


class Pages:
    """Pages and the JSON behind them."""

    def __init__(self, *, inbox: Inbox, orders: Orders, midtrans: Midtrans, faults: Faults) -> None:
        self._inbox = inbox
        self._orders = orders
        self._midtrans = midtrans
        self._faults = faults
        self.closing = False

    def routes(self) -> list[web.RouteDef]:
        """Return the pages and what they read."""
        return [
            web.get("/", self._front),
            web.get("/livez", self._alive),
            web.get("/dev/inbox", self._page("inbox.html")),
            web.get("/dev/inbox.json", self._messages),
            web.get("/dev/inbox/stream", self._stream),
            web.get("/dev/orders.json", self._all_orders),
            web.get("/dev/faults", self._list_faults),
            web.post("/dev/faults", self._order_fault),
            web.delete("/dev/faults", self._clear_faults),
            web.get("/dev/{file:[a-z]+[.](?:css|js)}", self._file),
            web.get("/midtrans/checkout/{token:[\\w-]+}", self._checkout),
        ]

    async def _front(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/dev/inbox")

    async def _alive(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    def _page(self, name: str) -> Handler:
        async def serve(_: web.Request) -> web.StreamResponse:
            return web.FileResponse(_FOLDER / name, headers=_HEADERS)

        return serve

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = _FOLDER / request.match_info["file"]
        if not path.exists():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers=_HEADERS)

    async def _messages(self, request: web.Request) -> web.Response:
        # A plus sign that nobody escaped arrives as a space; `phone` mends that.
        to = phone(request.query["to"]) if request.query.get("to") else None
        try:
            seconds = min(float(request.query.get("wait", "0")), _LONGEST_WAIT_SECONDS)
        except ValueError:
            raise web.HTTPBadRequest(text="wait is a number of seconds") from None
        found = await self._inbox.wait(to=to, after=request.query.get("after"), seconds=seconds)
        return web.json_response({"messages": [message.as_json() for message in found]})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send every new message as a server-sent event until the reader leaves."""
        stream = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        # Before the reader knows that she is heard: what comes from then on is told.
        last = next((message.id for message in reversed(self._inbox.messages())), None)
        await stream.prepare(request)
        try:
            while not self.closing:
                await stream.write(b": alive\n\n")
                for message in await self._inbox.wait(after=last, seconds=_STREAM_BEAT_SECONDS):
                    last = message.id
                    await stream.write(f"data: {json.dumps(message.as_json())}\n\n".encode())
        except ConnectionResetError:
            pass
        return stream

    async def _all_orders(self, request: web.Request) -> web.Response:
        """Show the newest orders; `?limit=0` shows all of them."""
        text = request.query.get("limit", "")
        limit = int(text) if text.isdigit() else 100
        orders = self._orders.all()
        return web.json_response({"orders": [shown(order) for order in orders[: limit or None]]})

    async def _checkout(self, request: web.Request) -> web.StreamResponse:
        if self._midtrans.opened(request.match_info["token"]) is None:
            raise web.HTTPNotFound(text="no such checkout")
        return web.FileResponse(_FOLDER / "checkout.html", headers=_HEADERS)

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": [asdict(fault) for fault in self._faults]})

    async def _order_fault(self, request: web.Request) -> web.Response:
        try:
            fault = fault_rules.parse(await requests.json_object(request))
        except fault_rules.UnknownFault as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        self._faults.order(fault)
        return await self._list_faults(request)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return await self._list_faults(request)
