"""What all bots of a run share: where things are, what was seen, and who plays which scene."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from temani.demo.history import History
from temani.demo.numbers import Numbers
from temani.demo.scenes import Deck, Scene
from temani.demo.talk import OVER

CODE_SECONDS = 30.0


class Span:
    """A latency whose two ends are seen by different people, in any order."""

    def __init__(self, numbers: Numbers, name: str) -> None:
        self._numbers = numbers
        self._name = name
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def begin(self, id_: str, at: float) -> None:
        """One side started it."""
        ended = self._ended.pop(id_, None)
        if ended is None:
            self._began[id_] = at
        else:
            self._numbers.took(self._name, max(ended - at, 0.0))

    def end(self, id_: str) -> None:
        """The other side sees it."""
        now = time.monotonic()
        began = self._began.pop(id_, None)
        if began is None:
            self._ended.setdefault(id_, now)
        else:
            self._numbers.took(self._name, now - began)


@dataclass
class World:
    """One run."""

    gateway: str
    providers: str
    rng: random.Random
    history: History
    numbers: Numbers
    deck: Deck
    web: aiohttp.ClientSession  # for what is not the product: inbox and checkout page
    winding_down: asyncio.Event = field(default_factory=asyncio.Event)
    scenes: dict[str, Scene] = field(default_factory=dict)  # by request id
    searching: set[str] = field(default_factory=set)  # request ids
    states: dict[str, str] = field(default_factory=dict)  # of sessions, for the display
    sent_at: dict[str, float] = field(default_factory=dict)  # by client message id
    let_down: set[str] = field(default_factory=set)  # requests whose first mitra did not come

    def __post_init__(self) -> None:
        self.request_to_offer = Span(self.numbers, "request_to_offer")
        self.accept_to_session = Span(self.numbers, "accept_to_session")

    def asked(self, request_id: str, scene: Scene, began: float) -> None:
        """Note that a customer's request is open, and how she will play it."""
        self.scenes[request_id] = scene
        self.searching.add(request_id)
        self.request_to_offer.begin(request_id, began)

    def ended(self, request_id: str) -> None:
        """Note that a request is not searching any more."""
        self.searching.discard(request_id)

    async def last_message_id(self, phone_number: str) -> int | str | None:
        """The newest message to a phone so far, so that a later code is told apart."""
        messages = await self._inbox(phone_number, after=None, wait=0)
        return messages[-1]["id"] if messages else None

    async def read_code(self, phone_number: str, *, after: int | str | None) -> str:
        """Wait for a code in the provider's inbox."""
        deadline = time.monotonic() + CODE_SECONDS
        while time.monotonic() < deadline:
            for message in reversed(await self._inbox(phone_number, after=after, wait=2)):
                if message.get("code"):
                    return str(message["code"])
        raise TimeoutError(f"no code for {phone_number[:6]}… in {CODE_SECONDS:.0f} s")

    async def _inbox(
        self, phone_number: str, *, after: int | str | None, wait: float
    ) -> list[dict[str, Any]]:
        query = {"to": phone_number, "wait": str(wait)}
        if after is not None:
            query["after"] = str(after)
        async with self.web.get(f"{self.providers}/dev/inbox.json", params=query) as answer:
            answer.raise_for_status()
            return list((await answer.json())["messages"])

    async def checkout(self, token: str, action: str) -> bool:
        """Press a button of the payment provider's hosted page: pay, deny or expire."""
        url = f"{self.providers}/midtrans/checkout/{token}/{action}"
        async with self.web.post(url, allow_redirects=False) as answer:
            return answer.status < 400

    async def until_over(self, session_id: str, *, seconds: float) -> None:
        """Wait until anybody saw a session end."""
        deadline = time.monotonic() + seconds
        while self.states.get(session_id) not in OVER and time.monotonic() < deadline:
            step = min(0.2, deadline - time.monotonic())
            await asyncio.sleep(max(step, 0.01))

    async def think(self, shortest: float, longest: float) -> None:
        """Pause as a person does."""
        await asyncio.sleep(self.rng.uniform(shortest, longest))
