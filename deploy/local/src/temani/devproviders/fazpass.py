"""Fazpass, the sender of one-time codes: POST /fazpass/v1/otp/send."""

import asyncio
import hmac
from datetime import UTC, datetime

from aiohttp import web

from common.ids import new_id
from temani.devproviders import requests
from temani.devproviders.background import Background
from temani.devproviders.faults import Faults
from temani.devproviders.inbox import Inbox, Message, phone


class Fazpass:
    """Accepts codes and puts them on phones in the inbox."""

    def __init__(
        self, *, merchant_key: str, inbox: Inbox, faults: Faults, background: Background
    ) -> None:
        self._authorization = f"Bearer {merchant_key}"
        self._inbox = inbox
        self._faults = faults
        self._background = background

    def routes(self) -> list[web.RouteDef]:
        """Return what this provider serves."""
        return [web.post("/fazpass/v1/otp/send", self._send)]

    async def _send(self, request: web.Request) -> web.Response:
        await requests.misbehave(self._faults, "fazpass")
        if not hmac.compare_digest(
            request.headers.get("Authorization", "").encode(), self._authorization.encode()
        ):
            return _refusal(401, "Unauthorized", "4010000")
        body = await requests.json_object(request)
        digits, otp = str(body.get("phone", "")), str(body.get("otp", ""))
        gateway_key = str(body.get("gateway_key", ""))
        # HTTP 200 with status false is how this provider says no to a request it understood.
        if not digits.isdigit() or not gateway_key:
            return _refusal(200, "phone and gateway_key are required", "4000001")
        if not (otp.isdigit() and 4 <= len(otp) <= 10):
            return _refusal(200, "otp must be 4 to 10 digits", "4000002")
        channel = _channel(gateway_key)
        message = Message(
            id=str(new_id()),
            to=phone(digits),
            channel=channel,
            code=otp,
            text=_text(channel, otp),
            at=datetime.now(UTC),
        )
        await self._deliver(message)
        return web.json_response(
            {
                "status": True,
                "message": "generate & send otp success",
                "code": "2000200",
                "data": {
                    "id": message.id,
                    "otp_length": len(otp),
                    "channel": channel.upper(),
                    "provider": "devproviders",
                },
            }
        )

    async def _deliver(self, message: Message) -> None:
        if self._faults.take("fazpass", "lost"):
            return
        copies = 2 if self._faults.take("fazpass", "duplicate") else 1
        if late := self._faults.take("fazpass", "late"):
            self._background.run(self._deliver_after(late.seconds, message, copies))
            return
        await self._deliver_after(0, message, copies)

    async def _deliver_after(self, seconds: float, message: Message, copies: int) -> None:
        await asyncio.sleep(seconds)
        for _ in range(copies):
            await self._inbox.deliver(message)


def _refusal(status: int, message: str, code: str) -> web.Response:
    return web.json_response({"status": False, "message": message, "code": code}, status=status)


def _channel(gateway_key: str) -> str:
    """Return the channel: a gateway has exactly one, and here its key's name says which."""
    for channel in ("missed_call", "sms"):
        if channel in gateway_key:
            return channel
    return "whatsapp"


def _text(channel: str, otp: str) -> str:
    if channel == "missed_call":
        return f"Panggilan tak terjawab dari nomor yang berakhiran {otp}."
    return f"Kode Temani Anda: {otp}. Berlaku 5 menit. Jangan beri tahu siapa pun."
