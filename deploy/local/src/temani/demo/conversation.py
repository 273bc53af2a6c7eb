"""What a customer does from the first hello to the last goodbye of one session."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from temani.demo.lines import GOODBYES, QUESTIONS
from temani.demo.phone import LoggedOut, Refused, Unreachable
from temani.demo.scenes import Scene
from temani.demo.talk import OVER, Talk

if TYPE_CHECKING:
    from temani.demo.customer import Customer


class Conversation:
    """One conversation, from the customer's side."""

    def __init__(self, customer: "Customer", talk: Talk, scene: Scene) -> None:
        self._customer = customer
        self._talks = customer.talks
        self._world = customer.phone.world
        self._talk = talk
        self._scene = scene
        self._dropped_at_seq: int | None = None
        self._extension_over = scene.name not in {"extend", "extend_declined", "extend_ignored"}

    async def hold(self) -> None:
        """Talk until the session is over."""
        said = 0
        while self._talk.state not in OVER:
            match self._talk.state:
                case "active":
                    await self._talk_on(said)
                    said += 1
                case "expired":
                    await self._in_expired_window()
                case "closing":
                    await self._part()
                case _:
                    await self._wait(lambda talk: talk.state != "pending_payment", 2)

    async def _talk_on(self, said: int) -> None:
        scene = self._scene.name
        over_http = scene == "poll"
        await self._talks.say(self._talk, self._world.rng.choice(QUESTIONS), over_http=over_http)
        if over_http and said == 1:
            self._world.numbers.walked("http_fallback")
        if said == 1 and scene == "drop_socket":
            self._dropped_at_seq = self._talk.seq
            self._talks.link.drop(self._world.rng.uniform(0.4, 1.2))
            self._customer.drop_pairing(0.8)
        if said == 0 and not self._extension_over:
            self._extension_over = True
            await self._extend()
        if self._world.winding_down.is_set() or (scene == "end_early" and said >= 2):
            await self._talks.end(self._talk)
            if self._talk.state == "closing":
                self._world.numbers.walked("ended_early")
            return
        heard = len(self._talk.heard)
        await self._wait(
            lambda talk: talk.state != "active" or len(talk.heard) > heard,
            self._world.rng.uniform(0.8, 1.6),
        )
        await self._world.think(0.2, 0.9)
        self._check_resumed()

    def _check_resumed(self) -> None:
        """A dropped socket came back and brought what was said meanwhile."""
        before = self._dropped_at_seq
        if before is None or not self._talks.link.open.is_set():
            return
        if self._talks.link.connects > 1 and self._talk.seq > before:
            self._dropped_at_seq = None
            self._world.numbers.walked("dropped_and_resumed")

    async def _in_expired_window(self) -> None:
        if self._scene.name == "extend_late" and not self._world.winding_down.is_set():
            self._scene = Scene("plain", self._scene.topic)
            if await self._extend():
                return
        await self._world.think(0.1, 0.6)
        if self._talk.state == "expired":
            await self._talks.end(self._talk)
        await self._wait(lambda talk: talk.state != "expired", 6)

    async def _extend(self) -> bool:
        """Ask for more time; pay when the mitra agrees; returns whether it was applied."""
        extension = await self._ask_for_more()
        if extension is None:
            return False
        id_ = str(extension["extension_id"])

        def state() -> str:
            return str(self._talk.extensions.get(id_, extension)["state"])

        await self._wait(lambda _: state() != "requested", 12)
        if state() == "accepted":
            path = f"/api/customer/chat/sessions/{self._talk.session_id}/extensions/{id_}/payment"
            if await self._customer.pay(path):
                await self._wait(lambda _: state() not in {"accepted", "paid"}, 10)
        match state():
            case "applied":
                self._world.numbers.count("sessions_extended")
                self._world.numbers.walked("extension")
            case "declined":
                self._world.numbers.walked("extension_declined")
            case "timed_out":
                self._world.numbers.walked("extension_timed_out")
        return state() == "applied"

    async def _ask_for_more(self) -> dict[str, Any] | None:
        tier = self._customer.shortest_tier()
        who, session_id = self._customer.phone.user_id, self._talk.session_id
        entry = self._world.history.begin(who, "extension", session=session_id)
        try:
            extension = await self._customer.phone.call(
                "POST",
                f"/api/customer/chat/sessions/{session_id}/extensions",
                {"tier_id": tier},
                key=uuid4().hex,
            )
        except Refused as refused:
            entry.fail(refused.code) if refused.sure else entry.info(refused.code)
            return None
        except (Unreachable, LoggedOut) as lost:
            entry.info(type(lost).__name__)
            raise
        entry.ok(extension=extension["extension_id"])
        self._talks.note_extension(extension)
        return extension

    async def _part(self) -> None:
        if not self._talk.goodbye_said:
            await self._world.think(0.1, 0.5)
            if self._talk.state == "closing":
                self._talk.goodbye_said = True
                await self._talks.say(self._talk, self._world.rng.choice(GOODBYES))
        if not await self._wait(lambda talk: talk.state in OVER, 20):
            self._world.numbers.surprise("a closing session that does not complete")
            raise Unreachable("closing for ever")

    async def _wait(self, seen: Callable[[Talk], bool], seconds: float) -> bool:
        found = await self._talks.until(self._talk.session_id, seen, seconds=seconds)
        return found is not None
