"""A customer: looks at the beacon, asks, pays, talks, extends, says goodbye; or gives up."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from temani.demo import opening
from temani.demo.conversation import Conversation
from temani.demo.link import Link
from temani.demo.phone import Phone, Refused, Unreachable
from temani.demo.scenes import Scene
from temani.demo.talk import OVER, Talk
from temani.demo.talks import Talks
from temani.demo.world import World

SETTLED = frozenset({"matched", "expired", "cancelled"})
POLL_SECONDS = 2.0
# Longer than any wait of the demo's profile; a person would ask the help desk then.
OUTCOME_SECONDS = 60.0


@dataclass
class Request:
    """The customer's open wish, as the app knows it."""

    view: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.view["request_id"])

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self.view["state"])


class Customer:
    """One customer bot."""

    def __init__(self, world: World, *, phone_number: str, address: str) -> None:
        self._world = world
        self._number = phone_number
        self.phone = Phone(world, address, "customer")
        self.talks = Talks(self.phone)
        self._pairing = Link(self.phone, "/api/shared/pairing/ws", on_frame=self._on_frame)
        self._requests: dict[str, Request] = {}
        self._news = asyncio.Event()
        self._tiers: list[dict[str, Any]] = []

    async def live(self) -> None:
        """Sign in and play scenes until the run winds down."""
        async with self.phone:
            await self.phone.sign_in(self._number)
            async with asyncio.TaskGroup() as tasks:
                links = [
                    tasks.create_task(self._pairing.run()),
                    tasks.create_task(self.talks.link.run()),
                ]
                try:
                    await self._play_scenes()
                finally:
                    for link in links:
                        link.cancel()

    async def _play_scenes(self) -> None:
        await self._pairing.until_open()
        await self.talks.link.until_open()
        self._tiers = (await self.phone.call("GET", "/api/customer/tiers"))["tiers"]
        await self._world.think(0.0, 1.5)
        while not self._world.winding_down.is_set():
            scene = self._world.deck.deal(self._world.numbers.missing_paths())
            try:
                await self.play(scene)
            except Unreachable:
                self._world.numbers.count("scenes_cut_by_outage")
            await self._world.think(0.1, 0.6)

    # --- one scene -------------------------------------------------------------------------

    async def play(self, scene: Scene) -> None:
        """Play one scene from the beacon to the goodbye."""
        await self._look_at_beacon()
        request = await self._ask(scene)
        if request is None:
            return
        if scene.name == "cancel":
            await self._world.think(0.2, 0.8)
            if await self._cancel(request):
                self._world.numbers.walked("cancel")
                return
            self._world.deck.again(scene.name)
        session_id = await self._outcome(request, scene)
        if session_id is not None:
            await self._meet(session_id, scene)

    async def _look_at_beacon(self) -> None:
        began = time.monotonic()
        with suppress(Refused):
            await self.phone.call("GET", "/api/customer/availability")
            self._world.numbers.took("beacon", time.monotonic() - began)

    async def _ask(self, scene: Scene) -> Request | None:
        tier = self._world.rng.choice(self._tiers)
        key = uuid4().hex
        entry = self._world.history.begin(self.phone.user_id, "request", key=key)
        began = time.monotonic()
        wish = {"tier_id": tier["tier_id"], "topic": scene.topic, "sensitivity": scene.sensitivity}
        try:
            view = await self.phone.call("POST", "/api/customer/pairing", wish, key=key)
        except Refused as refused:
            entry.fail(refused.code) if refused.sure else entry.info(refused.code)
            self._world.deck.again(scene.name)
            if refused.code == "request_open":
                await self._drop_old_request()
            if refused.code == "service_closed":
                self._world.numbers.count(opening.REFUSED)
                self._world.numbers.surprise(opening.WHILE_IT_RAN)
                await self._world.think(0.5, 1.5)
            return None
        except Unreachable:
            entry.info("unreachable")
            raise
        entry.ok(request=view["request_id"])
        self._world.numbers.count("requests")
        request = self._note(view)
        self._world.asked(request.id, scene, began)
        return request

    async def _drop_old_request(self) -> None:
        """Cancel a request whose creation we never heard of."""
        await self._pairing.renew()  # the next state frame names it
        for request in list(self._requests.values()):
            if request.state not in SETTLED:
                await self._cancel(request)

    async def _cancel(self, request: Request) -> bool:
        entry = self._world.history.begin(self.phone.user_id, "cancel", request=request.id)
        try:
            view = await self.phone.call("DELETE", f"/api/customer/pairing/{request.id}")
        except Refused as refused:
            entry.fail(refused.code)
            return False
        except Unreachable:
            entry.info("unreachable")
            raise
        entry.ok(state=view["state"])
        self._note(view)
        self._world.ended(request.id)
        return bool(view["state"] == "cancelled")

    async def _outcome(self, request: Request, scene: Scene) -> str | None:
        """Wait until somebody accepted, or nobody did; returns the session."""
        deadline = time.monotonic() + OUTCOME_SECONDS
        while request.state not in SETTLED:
            if self._world.winding_down.is_set() and await self._cancel(request):
                return None
            if time.monotonic() > deadline:
                self._world.numbers.surprise("a request without an outcome")
                return None
            await self._hear_of(request)
        self._world.ended(request.id)
        if request.state == "matched":
            return str(request.view["session_id"])
        self._world.numbers.count(f"requests_{request.state}")
        if request.state == "expired":
            self._world.numbers.walked("expired_wait")
            if scene.name not in {"nobody_wants", "cancel"}:
                self._world.deck.again(scene.name)
        return None

    async def _hear_of(self, request: Request) -> None:
        self._news.clear()
        every = POLL_SECONDS if self._pairing.open.is_set() else POLL_SECONDS / 3
        try:
            async with asyncio.timeout(every):
                await self._news.wait()
        except TimeoutError:
            with suppress(Refused):
                self._note(await self.phone.call("GET", f"/api/customer/pairing/{request.id}"))

    # --- in a session ----------------------------------------------------------------------

    async def _meet(self, session_id: str, scene: Scene) -> None:
        talk = await self.talks.until(session_id, lambda _: True, seconds=20)
        if talk is None:
            self._world.numbers.surprise("a match without a session")
            return
        if talk.state == "pending_payment" and not await self._pay_for(talk, scene):
            return
        active = await self.talks.until(
            session_id, lambda talk: talk.state != "pending_payment", seconds=15
        )
        if active is None or active.state in OVER:
            await self._after(active, scene)
            return
        await Conversation(self, talk, scene).hold()
        await self._after(self.talks.by_id[session_id], scene)

    async def _after(self, talk: Talk | None, scene: Scene) -> None:
        if talk is None:
            return
        match talk.state:
            case "completed":
                self._world.numbers.count("sessions_completed")
            case "cancelled":
                self._world.numbers.count("sessions_cancelled")
                if scene.name == "never_pay":
                    self._world.numbers.walked("payment_expired")
            case "rerouted":
                self._world.numbers.count("sessions_rerouted")
                await self._follow_reroute(talk, scene)

    async def _follow_reroute(self, talk: Talk, scene: Scene) -> None:
        """The mitra never came: wait for another one, whom we need not pay again."""
        request = self._note(
            await self.phone.call("GET", f"/api/customer/pairing/{talk.request_id}")
        )
        session_id = await self._outcome(request, scene)
        if session_id is None:
            self._world.numbers.count("reroutes_refunded")
            self._world.deck.again(scene.name)
            return
        met = await self.talks.until(session_id, lambda _: True, seconds=20)
        if met is not None and met.state != "pending_payment":
            self._world.numbers.walked("reroute")
        await self._meet(session_id, Scene("plain", scene.topic))

    async def _pay_for(self, talk: Talk, scene: Scene) -> bool:
        """Pay at the provider's page; False when this customer does not."""
        await self._world.think(0.1, 0.5)
        if scene.name == "never_pay":
            over = await self.talks.until(
                talk.session_id, lambda talk: talk.state in OVER, seconds=30
            )
            await self._after(over, scene)
            return False
        path = f"/api/customer/chat/sessions/{talk.session_id}/payment"
        return await self.pay(path, denied_first=scene.name == "deny_then_pay")

    async def pay(self, path: str, *, denied_first: bool = False) -> bool:
        """Ask for a checkout and press its buttons."""
        try:
            payment = await self.phone.call("POST", path)
        except Refused:
            return False
        entry = self._world.history.begin(
            self.phone.user_id, "pay", order=payment["order_id"], amount=payment["amount_idr"]
        )
        if denied_first:
            await self._world.checkout(payment["token"], "deny")
            await self._world.think(0.3, 0.6)
        paid = await self._world.checkout(payment["token"], "pay")
        entry.ok() if paid else entry.fail("not_payable")
        if denied_first and paid:
            self._world.numbers.walked("payment_denied_then_paid")
        return paid

    def drop_pairing(self, seconds: float) -> None:
        """Lose the network under the pairing socket too."""
        self._pairing.drop(seconds)

    def shortest_tier(self) -> str:
        """Choose the tier of an extension."""
        return str(min(self._tiers, key=lambda tier: int(tier["duration_seconds"]))["tier_id"])

    # --- what the pairing socket says ------------------------------------------------------

    def _on_frame(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "state" and data.get("request"):
            self._note(data["request"])
        elif kind == "request":
            self._note(data)

    def _note(self, view: dict[str, Any]) -> Request:
        request = self._requests.get(str(view["request_id"]))
        if request is None:
            request = self._requests[str(view["request_id"])] = Request(view)
        elif int(view["version"]) >= int(request.view["version"]):
            request.view = view
        if request.state == "matched":
            self._world.accept_to_session.end(request.id + str(request.view["session_id"]))
        self._news.set()
        return request
