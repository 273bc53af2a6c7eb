"""What the parties do with a session: look, end it, raise its sensitivity, read, write."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from chat import errors
from chat.domain import sessions, steps
from chat.domain.facts import Held, Story, story_of
from chat.domain.messages import Message
from chat.domain.values import Limits, Role, Sensitivity
from chat.handlers import holding, rendering
from chat.handlers.showing import Reader, Shows
from chat.handlers.telling import Teller
from chat.ports import Store, Work
from chat.views import frames
from chat.views.sessions import MessagesView, SessionView

LIVING = ("pending_payment", "active", "expired", "closing")
EVERY = (*LIVING, "completed", "cancelled", "rerouted")


class Sessions:
    """The acts and questions of both parties."""

    def __init__(self, *, store: Store, shows: Shows, teller: Teller, limits: Limits) -> None:
        self._store = store
        self._shows = shows
        self._teller = teller
        self._limits = limits

    async def mine(self, session_id: UUID, user_id: UUID) -> tuple[Story, Role]:
        """Read a session of this user, or raise SessionNotFound."""
        story = await self._store.read_story(session_id)
        role = None if story is None else story.session.role_of(user_id)
        if story is None or role is None or not sessions.may_read(story.session, user_id):
            raise errors.SessionNotFound
        return story, role

    async def show(self, session_id: UUID, user_id: UUID) -> SessionView:
        """Show a session to one of its parties."""
        story, role = await self.mine(session_id, user_id)
        return await self._shows.session(story, role)

    async def list_mine(
        self, user_id: UUID, role: Role, *, states: Collection[str], before: UUID | None, limit: int
    ) -> list[SessionView]:
        """List a party's sessions, newest first."""
        stories = await self._store.list_stories(
            user_id, role, states=states, before=before, limit=limit
        )
        return await self._shows.sessions(stories, role)

    async def living(self, user_id: UUID, role: Role) -> list[SessionView]:
        """List what is open, for the first frame of a socket."""
        return await self.list_mine(user_id, role, states=LIVING, before=None, limit=50)

    async def transcript(
        self, session_id: UUID, user_id: UUID, *, after_seq: int, limit: int
    ) -> MessagesView:
        """Return the messages after a cursor, in order."""
        story, _ = await self.mine(session_id, user_id)
        found = await self._store.read_messages(session_id, after_seq=after_seq, limit=limit)
        return messages_view(story, found)

    async def end(self, session_id: UUID, user_id: UUID) -> SessionView:
        """Begin the goodbye phase, or give up before the payment; repeated it changes nothing."""

        async def work(tx: Work) -> tuple[Held, Role]:
            held = await holding.hold_mine(tx, session_id, user_id, self._limits)
            role = held.session.role_of(user_id)
            assert role is not None
            if held.session.state == "pending_payment":
                held = await holding.cancel(tx, held, f"{role}_left")
            elif held.session.state in ("active", "expired"):
                held = await holding.close(tx, held, f"{role}_ended", self._limits)
            return held, role

        held, role = await self._store.run(work)
        story = await self._teller.session_changed(session_id)
        return await self._shows.session(story or story_of(held), role)

    async def raise_sensitivity(
        self,
        session_id: UUID,
        *,
        changed_by: UUID,
        role: str,
        sensitivity: Sensitivity,
        reason: str | None,
    ) -> SessionView:
        """Raise the topic's sensitivity; it never comes down. Repeated it changes nothing."""

        async def work(tx: Work) -> tuple[Held, bool]:
            if role == "operator":
                held = await holding.hold(tx, session_id, self._limits)
            else:
                held = await holding.hold_mine(tx, session_id, changed_by, self._limits)
            if held.session.sensitivity == sensitivity:
                return held, False
            if sensitivity != "sensitive":
                raise errors.SensitivityLatched
            session = await tx.save_session(
                replace(held.session, sensitivity=sensitivity), say=None
            )
            await tx.log_sensitivity(session, changed_by=changed_by, role=role, reason=reason)
            await tx.say_topic_updated(session)
            return replace(held, session=session), True

        held, is_raised = await self._store.run(work)
        told = []
        if is_raised:
            data = frames.TopicData(session_id=session_id, sensitivity=sensitivity)
            told.append(frames.TopicFrame(data=data))
        story = await self._teller.session_changed(session_id, told)
        reader: Reader = held.session.role_of(changed_by) or "operator"
        return await self._shows.session(story or story_of(held), reader)

    async def move_horizon(
        self, session_id: UUID, user_id: UUID, *, delivered: int, read: int
    ) -> None:
        """Move the reader's horizons forward and tell the other party."""
        story, role = await self.mine(session_id, user_id)
        moved = await self._store.move_horizon(session_id, user_id, delivered=delivered, read=read)
        if moved is None:
            return
        if read:
            data = frames.HorizonData(session_id=session_id, role=role, seq=moved.read_seq)
            self._teller.both(story.session, [frames.ReadFrame(data=data)])
        else:
            data = frames.HorizonData(session_id=session_id, role=role, seq=moved.delivered_seq)
            self._teller.both(story.session, [frames.DeliveredFrame(data=data)])

    async def typing(self, session_id: UUID, user_id: UUID) -> None:
        """Tell the other party that this one is writing."""
        story, role = await self.mine(session_id, user_id)
        session, _ = steps.as_of(story.session, story.extension, story.now, self._limits)
        if session.state not in ("active", "closing"):
            return
        other = session.mitra_id if role == "customer" else session.customer_id
        data = frames.TypingTold(session_id=session_id, role=role)
        self._teller.one(other, frames.TypingFrame(data=data))


def messages_view(story: Story, found: list[Message]) -> MessagesView:
    """Render messages with the session's last seq."""
    return MessagesView(
        session_id=story.session.id,
        messages=[rendering.message_view(message) for message in found],
        # A message may have come between the two reads.
        last_seq=max([story.last_seq, *(message.seq for message in found)]),
    )
