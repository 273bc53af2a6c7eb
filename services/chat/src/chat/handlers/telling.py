"""Telling both parties what has changed, after its commit."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from chat.domain import sessions
from chat.domain.facts import Story
from chat.domain.sessions import Session
from chat.domain.values import Role
from chat.handlers.showing import Shows
from chat.ports import Alarm, Realtime, Store
from chat.views.frames import SessionFrame
from common.db import Unavailable
from common.log import get_logger
from common.sockets import Frame

log = get_logger("chat")


class Teller:
    """Reads what is true now and sends it to both parties; a loss costs a push, never truth."""

    def __init__(self, *, store: Store, shows: Shows, realtime: Realtime, alarm: Alarm) -> None:
        self._store = store
        self._shows = shows
        self._realtime = realtime
        self._alarm = alarm

    async def session_changed(self, session_id: UUID, frames: Iterable[Frame] = ()) -> Story | None:
        """Send the session to its parties, then the frames; return it as it is now."""
        return await self._session(session_id, frames, parties)

    async def session_rerouted(self, session_id: UUID) -> None:
        """Send a rerouted session to both parties: its mitra hears that it is not hers any more."""
        await self._session(session_id, (), everyone)

    async def _session(
        self,
        session_id: UUID,
        frames: Iterable[Frame],
        whom: Callable[[Session], Sequence[tuple[Role, UUID]]],
    ) -> Story | None:
        try:
            story = await self._store.read_story(session_id)
            if story is None:
                return None
            self._watch(story)
            for reader, user_id in whom(story.session):
                view = await self._shows.session(story, reader)
                self._realtime.tell(user_id, SessionFrame(data=view).encode())
        except Unavailable:
            # The change is committed; the apps find it with their next poll.
            log.warning("session_not_told", session_id=str(session_id))
            return None
        self.both(story.session, frames)
        return story

    def both(self, session: Session, frames: Iterable[Frame]) -> None:
        """Send frames to the parties."""
        for frame in frames:
            encoded = frame.encode()
            for _, user_id in parties(session):
                self._realtime.tell(user_id, encoded)

    def one(self, user_id: UUID, frame: Frame) -> None:
        """Send a frame to one user."""
        self._realtime.tell(user_id, frame.encode())

    def _watch(self, story: Story) -> None:
        for deadline in deadlines(story):
            self._alarm.wake_at(max(0.0, (deadline - story.now).total_seconds()))


def everyone(session: Session) -> Sequence[tuple[Role, UUID]]:
    """Return both parties with their roles."""
    return ("customer", session.customer_id), ("mitra", session.mitra_id)


def parties(session: Session) -> Sequence[tuple[Role, UUID]]:
    """Return whose session it is, with their roles; a rerouted-away mitra has lost it."""
    return [one for one in everyone(session) if sessions.may_read(session, one[1])]


def deadlines(story: Story) -> list[datetime]:
    """Return when something will be due in this session."""
    session, extension = story.session, story.extension
    by_state = {
        "pending_payment": [session.pay_by],
        "active": [session.warn_at, session.ends_at, session.show_up_by, session.lost_by],
        "expired": [] if extension else [session.expired_until],
        "closing": [session.closing_until],
    }
    found = by_state.get(session.state, [])
    if extension is not None:
        found.append(extension.answer_by if extension.state == "requested" else extension.pay_by)
    return [deadline for deadline in found if deadline is not None]
