"""The phones of everybody: messages that reached them, newest last, for people and for tests."""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime

_KEPT = 500


@dataclass(frozen=True)
class Message:
    """One message on one phone; `to` has the plus sign."""

    id: str
    to: str
    channel: str
    code: str
    text: str
    at: datetime

    def as_json(self) -> dict[str, str]:
        """Return the message as JSON values."""
        return {**asdict(self), "at": self.at.isoformat()}


class Inbox:
    """Keeps the last messages in memory and wakes whoever waits for the next one."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=_KEPT)
        self._arrival = asyncio.Condition()
        self._closing = False

    async def deliver(self, message: Message) -> None:
        """Put a message on its phone."""
        async with self._arrival:
            self._messages.append(message)
            self._arrival.notify_all()

    def messages(self, *, to: str | None = None, after: str | None = None) -> list[Message]:
        """Return messages, oldest first: of one phone if given, after the id if it is known."""
        found = list(self._messages)
        known = [place for place, message in enumerate(found) if message.id == after]
        if known:
            found = found[known[0] + 1 :]
        return [message for message in found if to is None or message.to == to]

    async def wait(
        self, *, to: str | None = None, after: str | None = None, seconds: float = 0
    ) -> list[Message]:
        """Return messages as above; while there are none, wait at most this long for one."""
        try:
            async with asyncio.timeout(seconds), self._arrival:
                await self._arrival.wait_for(
                    lambda: self._closing or self.messages(to=to, after=after)
                )
        except TimeoutError:
            return []
        return self.messages(to=to, after=after)

    async def close(self) -> None:
        """Let everybody who waits go."""
        async with self._arrival:
            self._closing = True
            self._arrival.notify_all()


def phone(text: str) -> str:
    """Return a phone number with its plus sign, however it was written or decoded."""
    return "+" + "".join(character for character in text if character.isdigit())
