"""Sessions inside a transaction: locked in the one order, written with their event."""

from dataclasses import replace
from uuid import UUID

from chat import events
from chat.domain.facts import Held
from chat.domain.sessions import Session
from chat.ports import SessionNoun
from chat.store import rows
from chat.store.part import Part
from chat.store.queries import QUERIES


class SessionPart(Part):
    """What may be done to sessions."""

    async def hold(self, session_id: UUID) -> Held | None:
        """Lock everything that a step of this session may touch, then read it."""
        now = await self._tx.fetchval(QUERIES["hold_session"], session_id)
        if now is None:
            return None
        row = await self._tx.fetchrow(QUERIES["read_stories"], [session_id])
        return None if row is None else rows.held_of(row, now)

    async def reopen_request(self, request_id: UUID, mitra_id: UUID) -> str:
        """Lock the request in pairing and let it search again."""
        return str(await self._tx.fetchval(QUERIES["reopen_request"], request_id, mitra_id))

    async def save_session(
        self, session: Session, *, say: SessionNoun | None, reason: str | None = None
    ) -> Session:
        """Write a held session and the event of its step."""
        version = await self._tx.fetchval(
            QUERIES["save_session"],
            session.id,
            session.state,
            session.slot,
            session.sensitivity,
            session.open_extension_id,
            session.pay_by,
            session.activated_at,
            session.ends_at,
            session.warn_at,
            session.show_up_by,
            session.lost_by,
            session.expired_until,
            session.closing_until,
            session.completed_at,
            session.ended_reason,
        )
        if say is not None:
            event = events.SESSION_EVENTS[say](
                session_id=session.id,
                request_id=session.request_id,
                customer_id=session.customer_id,
                mitra_id=session.mitra_id,
                version=version,
                reason=reason,
                at=self._clock.now(),
            )
            await self._outbox.append(self._tx, event)
        return replace(session, version=version)

    async def say_topic_updated(self, session: Session) -> None:
        """Append the event of a raised sensitivity."""
        event = events.TopicUpdated(
            session_id=session.id,
            customer_id=session.customer_id,
            mitra_id=session.mitra_id,
            sensitivity=session.sensitivity,
            at=self._clock.now(),
        )
        await self._outbox.append(self._tx, event)

    async def log_sensitivity(
        self, session: Session, *, changed_by: UUID, role: str, reason: str | None
    ) -> None:
        """Write the audit row of a raised sensitivity."""
        await self._tx.execute(
            QUERIES["log_sensitivity"],
            session.id,
            changed_by,
            role,
            "normal",
            session.sensitivity,
            reason,
        )

    async def find_session_of_request(self, request_id: UUID) -> UUID | None:
        """Return the session that the request has now."""
        found: UUID | None = await self._tx.fetchval(QUERIES["session_of_request"], request_id)
        return found

    async def find_session(self, session_id: UUID) -> Session | None:
        """Read a session without a lock."""
        row = await self._tx.fetchrow(QUERIES["read_stories"], [session_id])
        return None if row is None else rows.session_of(row)

    async def goodbyes(self, session_id: UUID) -> int:
        """Return how many parties have said goodbye."""
        return int(await self._tx.fetchval(QUERIES["goodbyes"], session_id))

    async def free_slot(self, mitra_id: UUID) -> int | None:
        """Return the lowest free slot of a mitra whose load is held; None when she is full."""
        slot: int | None = await self._tx.fetchval(QUERIES["free_slot"], mitra_id)
        return slot
