"""A mitra: goes online, takes offers up to her capacity, answers, and at times fails to come."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from temani.demo.attending import attend
from temani.demo.link import Link
from temani.demo.phone import LoggedOut, Phone, Refused, Unreachable
from temani.demo.scenes import Scene
from temani.demo.talk import ALIVE, Talk
from temani.demo.talks import Talks
from temani.demo.world import World

SILENCE_SECONDS = 30.0
UNKNOWN = "not known yet"  # the session of an accept that has not been answered
TAKING = frozenset({"pending_payment", "active"})
OFFERS_POLL_SECONDS = 3.0


class Mitra:
    """One mitra bot; `greedy` ones gather offers and accept several at once, beyond capacity."""

    def __init__(
        self,
        world: World,
        *,
        phone_number: str,
        address: str,
        capacity: int,
        beat_seconds: float,
        greedy: bool = False,
    ) -> None:
        self._world = world
        self._number = phone_number
        self._beat_seconds = beat_seconds
        self.capacity = capacity
        self.greedy = greedy
        self.signed_in = asyncio.Event()
        self.welcome = asyncio.Event()  # cleared while an operator has deactivated her
        self.welcome.set()
        self._address = address
        self._is_leaving = False
        self._crew: set[asyncio.Task[None]] = set()
        self._hand: dict[str, dict[str, Any]] = {}  # open offers by id
        self._silent_for: str | None = None  # the session she does not come to

    @property
    def user_id(self) -> str:
        """Her id, once she has signed in."""
        return self.phone.user_id

    @property
    def busy(self) -> int:
        """How many sessions take her whole attention, as far as she knows."""
        return sum(1 for talk in self.talks.by_id.values() if talk.state in TAKING)

    @property
    def is_idle(self) -> bool:
        """Whether no session of hers is open, not even for a goodbye."""
        return not any(talk.state in ALIVE for talk in self.talks.by_id.values())

    async def live(self) -> None:
        """Sign in and work; again after a deactivation, until cancelled."""
        while True:
            await self.welcome.wait()
            self.phone = Phone(self._world, self._address, "mitra")
            self.talks = Talks(self.phone, self._on_news)
            try:
                async with self.phone:
                    await self.phone.sign_in(self._number)
                    await self._work()
            except* LoggedOut:
                self._world.numbers.count("mitras_logged_out")
            except* Refused as refused:
                self._world.numbers.count(f"mitra_refused_{refused.exceptions[0]}")
            finally:
                self.signed_in.clear()
                await self._dismiss_crew()
            await asyncio.sleep(0.5)

    async def leave(self) -> None:
        """Go offline as a person does at the end of the shift."""
        self._is_leaving = True
        if self.signed_in.is_set():
            await self.phone.call("POST", "/api/mitra/status/offline", patience=3)

    async def _work(self) -> None:
        self._pairing = Link(
            self.phone,
            "/api/shared/pairing/ws",
            on_frame=self._on_frame,
            beat_seconds=self._beat_seconds,
        )
        await self._go_online()
        self.signed_in.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pairing.run())
            tasks.create_task(self.talks.link.run())
            tasks.create_task(self._look_after())

    async def _go_online(self) -> None:
        entry = self._world.history.begin(self.user_id, "online")
        try:
            await self.phone.call("POST", "/api/mitra/status/online")
        except Refused as refused:
            entry.fail(refused.code)
            raise
        entry.ok()

    async def _look_after(self) -> None:
        """Beat over HTTP where no socket does, and see whether we are still online."""
        while True:
            await asyncio.sleep(OFFERS_POLL_SECONDS)
            entry = self._world.history.begin(self.user_id, "heartbeat")
            try:
                answer = await self.phone.call("POST", "/api/mitra/status/heartbeat")
            except Refused as refused:
                entry.fail(refused.code)
                continue
            except (Unreachable, LoggedOut) as lost:
                entry.fail("logged_out") if isinstance(lost, LoggedOut) else entry.info("lost")
                if isinstance(lost, LoggedOut):
                    raise
                continue
            entry.ok()
            if answer["is_online"] is False and not self._is_leaving:
                self._world.numbers.count("auto_offlined")
                with suppress(Refused, Unreachable):
                    await self._go_online()
            if not self._pairing.open.is_set():
                await self._read_offers()

    async def _read_offers(self) -> None:
        with suppress(Refused, Unreachable):
            for offer in (await self.phone.call("GET", "/api/mitra/offers"))["offers"]:
                self._consider_once(offer)

    # --- offers ----------------------------------------------------------------------------

    def _on_frame(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "state":
                for offer in data.get("offers") or ():
                    self._consider_once(offer)
            case "offer":
                self._consider_once(data)
            case "offer_withdrawn":
                self._hand.pop(str(data["offer_id"]), None)

    def _consider_once(self, offer: dict[str, Any]) -> None:
        offer_id = str(offer["offer_id"])
        if offer_id in self._hand:
            return
        self._hand[offer_id] = offer
        self._world.history.saw(
            self.user_id, "offer", offer=offer_id, request=str(offer["request_id"])
        )
        self._world.request_to_offer.end(str(offer["request_id"]))
        self._world.numbers.count("offers")
        self._send_crew(self._consider(offer))

    async def _consider(self, offer: dict[str, Any]) -> None:
        await self._world.think(0.08, 0.7)
        if not self.greedy and not self._world.numbers.paths["refused_when_full"]:
            # Until a greedy one was refused the others leave her time to gather.
            await self._world.think(0.8, 1.2)
        scene = self._world.scenes.get(str(offer["request_id"]), Scene("plain", ""))
        if str(offer["offer_id"]) not in self._hand or self._silent_for is not None:
            return
        if scene.name == "cancel":
            await self._world.think(0.8, 1.4)  # long enough for a change of mind
            if str(offer["offer_id"]) not in self._hand:
                return
        if scene.name == "nobody_wants" or self._world.rng.random() < 0.1:
            await self._decline(offer)
            return
        if scene.name == "no_show" and str(offer["request_id"]) not in self._world.let_down:
            await self._promise_and_stay_away(offer)
            return
        if self.greedy and await self._grab_many():
            return
        if self.busy >= self.capacity:
            return  # a person sees that her hands are full and lets it pass
        await self._accept(offer)

    async def _grab_many(self) -> bool:
        """Take every open offer at once, as a hasty thumb does; the surplus must be refused."""
        patience = 1.0 if not self._world.numbers.paths["refused_when_full"] else 0.3
        await self._world.think(patience / 2, patience)
        offers = [
            offer
            for offer in self._hand.values()
            if self._world.scenes.get(str(offer["request_id"]), Scene("plain", "")).name
            not in {"nobody_wants", "no_show"}
        ]
        if len(offers) + self.busy <= self.capacity:
            return False
        await asyncio.gather(*(self._accept(offer) for offer in offers))
        return True

    async def _decline(self, offer: dict[str, Any]) -> None:
        entry = self._world.history.begin(self.user_id, "decline", offer=str(offer["offer_id"]))
        self._hand.pop(str(offer["offer_id"]), None)
        try:
            await self.phone.call("POST", f"/api/mitra/offers/{offer['offer_id']}/decline")
        except Refused as refused:
            entry.fail(refused.code)
        except Unreachable:
            entry.info("unreachable")
        else:
            entry.ok()
            self._world.numbers.count("declines")
            self._world.numbers.walked("decline")

    async def _accept(self, offer: dict[str, Any]) -> str | None:
        offer_id, request_id = str(offer["offer_id"]), str(offer["request_id"])
        if self._hand.pop(offer_id, None) is None:
            return None
        entry = self._world.history.begin(
            self.user_id, "accept", offer=offer_id, request=request_id
        )
        began = time.monotonic()
        try:
            won = await self.phone.call("POST", f"/api/mitra/offers/{offer_id}/accept")
        except Refused as refused:
            entry.fail(refused.code) if refused.sure else entry.info(refused.code)
            self._world.numbers.count(f"accept_{refused.code}")
            if refused.code == "mitra_full":
                self._world.numbers.walked("refused_when_full")
            return None
        except (Unreachable, LoggedOut) as lost:
            entry.info(type(lost).__name__)
            return None
        entry.ok(request=won["request_id"], session=won["session_id"])
        self._world.numbers.count("accepts")
        self._world.accept_to_session.begin(request_id + str(won["session_id"]), began)
        if self._silent_for is None and str(won["session_id"]) not in self.talks.by_id:
            self._send_crew(self._fetch(str(won["session_id"])))
        return str(won["session_id"])

    async def _fetch(self, session_id: str) -> None:
        with suppress(Refused, Unreachable):
            await self.talks.until(session_id, lambda _: True, seconds=10)

    async def _promise_and_stay_away(self, offer: dict[str, Any]) -> None:
        """Accept, and then let the phone fall silent until another mitra has the customer."""
        if self.greedy or not self.is_idle:
            return
        self._silent_for = UNKNOWN
        request_id = str(offer["request_id"])
        self._world.let_down.add(request_id)
        session_id = await self._accept(offer)
        if session_id is None:
            self._world.let_down.discard(request_id)
            self._silent_for = None
            return
        self._silent_for = session_id
        self._world.numbers.count("no_shows")
        self.talks.link.drop(SILENCE_SECONDS)
        await self._world.until_over(session_id, seconds=SILENCE_SECONDS)
        self._silent_for = None
        self.talks.link.wake()

    # --- sessions --------------------------------------------------------------------------

    def _on_news(self, talk: Talk) -> None:
        if self._silent_for in {UNKNOWN, talk.session_id}:
            return
        if talk.state in ALIVE and not talk.attended:
            talk.attended = True
            self._send_crew(attend(self.phone, self.talks, talk))

    # --- tasks -----------------------------------------------------------------------------

    def _send_crew(self, work: Any) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._crew.add(task)
        task.add_done_callback(self._crew.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except (Refused, Unreachable, LoggedOut) as cut:
            self._world.numbers.count(f"mitra_cut_{type(cut).__name__}")
        except Exception as error:  # noqa: BLE001  # a bot's own fault must be seen in the summary
            self._world.numbers.surprise(f"mitra bot: {type(error).__name__}: {error}")

    async def _dismiss_crew(self) -> None:
        crew = list(self._crew)
        for task in crew:
            task.cancel()
        await asyncio.gather(*crew, return_exceptions=True)
        self._hand.clear()
        self._silent_for = None
