"""What people do in every story: they come online, ask, match, pay; and how a story waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.e2e.person import PATIENCE_SECONDS, Json, Person, Refused, Socket

PAIRING = "/api/shared/pairing/ws"
CHAT = "/api/shared/chat/ws"
# The end of a login is seen everywhere in this time ...
PROMISED_SECONDS = 2.0
# ... unless the machine runs much beside; no service looks again by itself so soon.
TOLD_SECONDS = 10.0


@dataclass
class Cast:
    """The people of one story."""

    customer: Person
    mitra: Person
    operator: Person


async def eventually(
    person: Person, path: str, holds: Any, *, within: float = PATIENCE_SECONDS
) -> Json:
    """Poll one route, as an app without a socket does, until its answer `holds`."""
    answer: Json = {}
    try:
        async with asyncio.timeout(within):
            while not holds(answer := await person.call("GET", path)):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{path} still says {answer} after {within} s") from None
    return answer


async def refused(person: Person, method: str, path: str) -> Refused:
    """Call until the answer is a refusal; the caller bounds the time."""
    while True:
        try:
            await person.call(method, path)
        except Refused as refusal:
            return refusal
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def beating(mitra: Person, socket: Socket) -> AsyncIterator[None]:
    """Keep a mitra's heartbeat going over her open socket, as her app does."""

    async def beat() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await socket.send("beat")
                await asyncio.sleep(1)

    task = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(customer: Person, tier: str, **more: str) -> Json:
    """Ask for a pairing."""
    return await customer.call(
        "POST",
        "/api/customer/pairing",
        {"tier_id": tier, "topic": "work", "sensitivity": "normal", **more},
        {"Idempotency-Key": str(uuid4())},
    )


async def offer_for(mitra: Person, request_id: str) -> Json:
    """Wait until the mitra's offer list holds an offer for the request."""

    def offers(answer: Json) -> list[Json]:
        return [o for o in answer.get("offers", []) if o["request_id"] == request_id]

    answer = await eventually(mitra, "/api/mitra/offers", offers)
    return offers(answer)[0]


async def go_online(mitra: Person) -> None:
    """Switch the mitra online and wait until she counts as available."""
    await mitra.call("POST", "/api/mitra/status/online")
    await eventually(mitra, "/api/mitra/status", lambda s: s["available"])


async def matched(cast: Cast, tier: str) -> tuple[Json, Json]:
    """Walk from the wish to the accepted offer; return the request and the acceptance."""
    request = await ask(cast.customer, tier)
    offer = await offer_for(cast.mitra, request["request_id"])
    accepted = await cast.mitra.call("POST", f"/api/mitra/offers/{offer['offer_id']}/accept")
    return request, accepted


async def paid(cast: Cast, session_id: str) -> None:
    """Pay a session at the provider's checkout and wait until it is active."""
    checkout = await cast.customer.call("POST", f"/api/customer/chat/sessions/{session_id}/payment")
    await cast.customer.pay(checkout)
    await eventually(
        cast.customer,
        f"/api/shared/chat/sessions/{session_id}",
        lambda s: s["state"] == "active",
    )
