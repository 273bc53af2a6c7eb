"""Deadlines: each passed one is settled once, by whoever comes first, guarded by the row's lock."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from chat.domain import sessions
from chat.domain.facts import Held
from chat.domain.values import Due, Limits
from chat.handlers import holding, rendering
from chat.handlers.rerouting import Rerouting
from chat.handlers.telling import Teller
from chat.ports import Store, Work
from chat.views import frames
from common.db import Unavailable
from common.log import get_logger
from common.sockets import Frame

log = get_logger("deadlines")

_settled = Counter("deadlines_settled_total", "Deadlines that moved something", ["kind"])

_BATCH = 200
# Leaves more than half of the pool to the people who wait for an answer.
_AT_ONCE = 4
_ABSENCE = frozenset({"session_no_show", "session_lost"})
_OF_EXTENSION = frozenset({"extension_unanswered", "extension_unpaid"})


class Deadlines:
    """Settles what is due: one transaction an item, in the lock order, re-checking its guard."""

    def __init__(
        self, *, store: Store, rerouting: Rerouting, teller: Teller, limits: Limits
    ) -> None:
        self._store = store
        self._rerouting = rerouting
        self._teller = teller
        self._limits = limits
        self._in_hand: set[Due] = set()
        # Of the whole replica: its ticker and several commands of the sweeper come together.
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def settle_due(self) -> int:
        """Settle everything that is due now; return how many items moved something."""
        settled = 0
        while True:
            due = await self._store.due(_BATCH)
            moved = await self.settle_all(due)
            settled += moved
            # When nothing moved, others are at it, or a row waits for a service that is away.
            if len(due) < _BATCH or not moved:
                return settled

    async def settle_all(self, due: Iterable[Due]) -> int:
        """Settle these items, a few at a time; one that fails keeps no other waiting."""
        waiting = iter(due)

        async def work() -> int:
            return sum([await self._attempt(item) for item in waiting])

        return sum(await asyncio.gather(*(work() for _ in range(_AT_ONCE))))

    async def _attempt(self, item: Due) -> bool:
        if item in self._in_hand:
            # Our ticker and the sweeper's command often find the same item.
            return False
        self._in_hand.add(item)
        try:
            async with self._places:
                moved = await self.settle(item)
        except Unavailable as error:
            log.warning("deadline_waits", kind=item.kind, id=str(item.id), error=str(error))
            return False
        except Exception:
            log.exception("deadline_failed", kind=item.kind, id=str(item.id))
            return False
        finally:
            self._in_hand.discard(item)
        if moved:
            _settled.labels(item.kind).inc()
        return moved

    async def settle(self, due: Due) -> bool:
        """Settle one item; False when there was nothing to do (any more)."""
        if due.kind in _ABSENCE:
            if not await self._rerouting.reroute_absent(due.id):
                return False
            await self._teller.session_rerouted(due.id)
            return True
        session_id = await self._session_of(due)
        if session_id is None:
            return False
        found = await self._store.run(lambda tx: self._catch_up(tx, session_id))
        if found is None:
            return False
        await self._teller.session_changed(session_id, found)
        return True

    async def upcoming(self, within: timedelta) -> list[float]:
        """Return in how many seconds deadlines come that are not due yet."""
        return await self._store.upcoming(within)

    async def _session_of(self, due: Due) -> UUID | None:
        if due.kind not in _OF_EXTENSION:
            return due.id
        extension = await self._store.run(lambda tx: tx.find_extension(due.id))
        return None if extension is None else extension.session_id

    async def _catch_up(self, tx: Work, session_id: UUID) -> list[Frame] | None:
        """Make all steps that are due; return what to tell, None when nothing was due."""
        before = await tx.hold(session_id)
        if before is None:
            return None
        held = await holding.catch_up(tx, before, self._limits)
        told = await self._told_of_extension(tx, before, held)
        warning = await self._warn(tx, held)
        if warning is not None:
            told.append(warning)
        return told if held is not before or warning is not None else None

    async def _told_of_extension(self, tx: Work, before: Held, after: Held) -> list[Frame]:
        if before.extension is None or after.extension is not None:
            return []
        settled = await tx.find_extension(before.extension.id)
        assert settled is not None
        return [frames.ExtensionFrame(data=rendering.extension_view(settled))]

    async def _warn(self, tx: Work, held: Held) -> Frame | None:
        session = held.session
        if session.state != "active" or not sessions.has_passed(session.warn_at, held.now):
            return None
        warned, left = sessions.warn(session, held.now, self._limits)
        await tx.save_session(warned, say=None)
        if left == 0 or warned.ends_at is None:
            return None
        data = frames.WarningData(session_id=session.id, seconds_left=left, ends_at=warned.ends_at)
        return frames.WarningFrame(data=data)
