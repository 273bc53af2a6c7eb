"""A queue in this process before the claim of a request: it may refuse or wait, never grant.

Fifty mitras who accept at once would all queue on one row in Postgres; here one goes first and,
once it has won, the others are refused without asking. Postgres alone says who wins.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from common.db import Unavailable
from pairing.errors import RequestTaken

# A request in one of its attempts: within it a winner is final.
Ticket = tuple[UUID, int]

_MOST_REMEMBERED = 20_000


@dataclass(slots=True)
class _Queue:
    """Whoever waits for one ticket, and the turn they wait for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class ClaimGate:
    """Lets one claim of a ticket pass at a time, and remembers who won."""

    def __init__(self, *, patience_seconds: float = 2.0) -> None:
        self._patience = patience_seconds
        self._queues: dict[Ticket, _Queue] = {}
        self._winners: OrderedDict[Ticket, UUID] = OrderedDict()
        self._tickets: OrderedDict[tuple[UUID, UUID], Ticket] = OrderedDict()

    def remember(self, offer_id: UUID, mitra_id: UUID, ticket: Ticket) -> None:
        """Note which attempt of which request a mitra's offer is for."""
        self._tickets[offer_id, mitra_id] = ticket
        if len(self._tickets) > _MOST_REMEMBERED:
            self._tickets.popitem(last=False)

    def ticket_of(self, offer_id: UUID, mitra_id: UUID) -> Ticket | None:
        """Return what this mitra's offer is for, if this process has heard of it."""
        return self._tickets.get((offer_id, mitra_id))

    def won(self, ticket: Ticket, mitra_id: UUID) -> None:
        """Note the winner, after the commit."""
        self._winners[ticket] = mitra_id
        if len(self._winners) > _MOST_REMEMBERED:
            self._winners.popitem(last=False)

    def refuse(self, ticket: Ticket, mitra_id: UUID) -> None:
        """Raise RequestTaken when another mitra is known to have won."""
        if self._winners.get(ticket, mitra_id) != mitra_id:
            raise RequestTaken

    @asynccontextmanager
    async def turn(self, ticket: Ticket, mitra_id: UUID) -> AsyncIterator[None]:
        """Wait for this mitra's turn; RequestTaken when somebody won meanwhile."""
        self.refuse(ticket, mitra_id)
        queue = self._queues.setdefault(ticket, _Queue())
        queue.length += 1
        try:
            await self._acquire(queue.lock)
            try:
                self.refuse(ticket, mitra_id)
                yield
            finally:
                queue.lock.release()
        finally:
            queue.length -= 1
            if queue.length == 0:
                self._queues.pop(ticket, None)

    async def _acquire(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise Unavailable("Too many accept this request at once.") from None
