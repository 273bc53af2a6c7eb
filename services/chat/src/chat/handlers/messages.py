"""Messages: stored in batches, acknowledged and told only after the commit, in order."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from chat import errors
from chat.domain import sessions
from chat.domain.messages import REFUSALS, Draft, Message, Outcome, Sent
from chat.domain.values import Limits
from chat.handlers import holding, rendering
from chat.handlers.telling import Teller
from chat.ports import Realtime, Store, Work
from chat.views.frames import MessageFrame
from common.db import CommitUnknown, Unavailable
from common.log import get_logger

log = get_logger("chat")

# Two lanes keep Postgres busy while one batch commits; a session always rides in the same lane.
_LANES = 2
_BATCH = 64
_DOUBTS = 10_000

Answer = tuple[Outcome, Sent | None]


class Background(Protocol):
    """Runs a one-off beside the caller."""

    def background(self, awaitable: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run it; hold it; log its error."""
        ...


@dataclass(slots=True)
class _Lane:
    waiting: list[tuple[Draft, "asyncio.Future[Answer]"]] = field(default_factory=list)
    is_busy: bool = False


class Messages:
    """Takes messages of both parties.

    Messages that arrive while a batch commits ride in the next one: a lone message waits for
    nothing, and under load one commit serves many.
    """

    def __init__(
        self,
        *,
        store: Store,
        realtime: Realtime,
        teller: Teller,
        background: Background,
        limits: Limits,
    ) -> None:
        self._store = store
        self._realtime = realtime
        self._teller = teller
        self._background = background
        self._limits = limits
        self._doubtful: dict[tuple[UUID, UUID], None] = {}
        self._lanes = [_Lane() for _ in range(_LANES)]

    async def send(self, draft: Draft) -> Message:
        """Store a message and return it; repeated with the same id it is returned again."""
        if not draft.text.strip():
            raise errors.MessageEmpty
        outcome, sent = await self._enqueue(draft)
        if sent is None:
            raise REFUSALS[outcome]
        if sent.is_fresh and sent.message.kind == "goodbye":
            await self._end_after_goodbyes(draft.session_id)
        return sent.message

    async def _enqueue(self, draft: Draft) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        lane = self._lanes[draft.session_id.int % _LANES]
        lane.waiting.append((draft, future))
        if not lane.is_busy:
            lane.is_busy = True
            self._background.background(self._drain(lane), name="messages")
        return await future

    async def _drain(self, lane: _Lane) -> None:
        try:
            while lane.waiting:
                batch, lane.waiting = lane.waiting[:_BATCH], lane.waiting[_BATCH:]
                await self._commit(batch)
        finally:
            lane.is_busy = False
            for _, future in lane.waiting:
                _fail(future, Unavailable("The replica is going away."))
            lane.waiting = []

    async def _commit(self, batch: list[tuple[Draft, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._store.add_messages([draft for draft, _ in batch])
        except BaseException as error:
            if isinstance(error, CommitUnknown):
                self._doubt(draft for draft, _ in batch)
            for _, future in batch:
                _fail(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if answer[1] is not None and self._is_untold(answer[1]):
                self._tell(answer[1])
            if not future.done():
                future.set_result(answer)

    def _doubt(self, drafts: Iterable[Draft]) -> None:
        """Remember messages that may be stored although nobody was told of them."""
        for draft in drafts:
            self._doubtful[draft.session_id, draft.client_message_id] = None
        while len(self._doubtful) > _DOUBTS:
            del self._doubtful[next(iter(self._doubtful))]

    def _is_untold(self, sent: Sent) -> bool:
        key = (sent.message.session_id, sent.message.client_message_id)
        was_doubtful = key in self._doubtful
        self._doubtful.pop(key, None)
        return sent.is_fresh or was_doubtful

    def _tell(self, sent: Sent) -> None:
        frame = MessageFrame(data=rendering.message_view(sent.message)).encode()
        self._realtime.tell(sent.customer_id, frame)
        self._realtime.tell(sent.mitra_id, frame)

    async def _end_after_goodbyes(self, session_id: UUID) -> None:
        async def work(tx: Work) -> bool:
            held = await holding.hold(tx, session_id, self._limits)
            if held.session.state != "closing" or await tx.goodbyes(session_id) < 2:
                return False
            after = sessions.complete(held.session, held.now)
            await tx.save_session(after, say="session_completed", reason=after.ended_reason)
            return True

        try:
            is_over = await self._store.run(work)
        except Unavailable:
            # The goodbye is stored; the closing deadline completes the session.
            log.warning("completion_left_to_deadline", session_id=str(session_id))
            return
        if is_over:
            await self._teller.session_changed(session_id)


def _fail(future: "asyncio.Future[Answer]", error: BaseException) -> None:
    if not future.done():
        known = error if isinstance(error, Exception) else Unavailable("The replica goes away.")
        future.set_exception(known)
