"""Telling both parties what has changed, after its commit."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

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
        """Send the session to both parties, then the frames; return it as it is now."""
        try:
            story = await self._store.read_story(session_id)
            if story is None:
                return None
            self._watch(story)
            for reader, user_id in parties(story.session):
                view = await self._shows.session(story, reader)
                self._realtime.tell(user_id, SessionFrame(data=view).encode())
        except Unavailable:
            # The change is committed; the apps find it with their next poll.
            log.warning("session_not_told", session_id=str(session_id))
            return None
        self.both(story.session, frames)
        return story

    def both(self, session: Session, frames: Iterable[Frame]) -> None:
        """Send frames to both parties."""
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


def parties(session: Session) -> tuple[tuple[Role, UUID], tuple[Role, UUID]]:
    """Return both parties with their roles."""
    return ("customer", session.customer_id), ("mitra", session.mitra_id)


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
