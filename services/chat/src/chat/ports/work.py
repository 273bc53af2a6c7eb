"""What one transaction may do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from chat.domain.extensions import Extension
from chat.domain.facts import Held
from chat.domain.payments import PaidPart, Payment, ProviderWord
from chat.domain.sessions import Session
from chat.domain.values import Capacity, Tier, TierVersion

SessionNoun = Literal[
    "session_created",
    "session_activated",
    "session_extended",
    "session_expired",
    "session_resumed",
    "session_closing",
    "session_completed",
    "session_cancelled",
    "session_rerouted",
]


class Work(Protocol):
    """What one transaction may do. Locks are taken in one order: request, load, session, money."""

    async def hold(self, session_id: UUID) -> Held | None:
        """Lock the mitra's load, the session, its open extension and its payments, and read all."""
        ...

    async def reopen_request(self, request_id: UUID, mitra_id: UUID) -> str:
        """Lock the request in pairing and let it search again; say reopened or why not."""
        ...

    async def save_session(
        self, session: Session, *, say: SessionNoun | None, reason: str | None = None
    ) -> Session:
        """Write a held session and its event; return it with its new version."""
        ...

    async def say_topic_updated(self, session: Session) -> None:
        """Append the event of a raised sensitivity."""
        ...

    async def log_sensitivity(
        self, session: Session, *, changed_by: UUID, role: str, reason: str | None
    ) -> None:
        """Write the audit row of a raised sensitivity."""
        ...

    async def find_session_of_request(self, request_id: UUID) -> UUID | None:
        """Return the session that the request has now (not one it was rerouted from)."""
        ...

    async def find_session(self, session_id: UUID) -> Session | None:
        """Read a session without a lock."""
        ...

    async def free_slot(self, mitra_id: UUID) -> int | None:
        """Return the lowest free slot of a mitra whose load is held; None when she is full."""
        ...

    async def is_active_mitra(self, mitra_id: UUID) -> bool:
        """Ask the directory, in a statement after the load was locked."""
        ...

    async def current_tier(self, tier_id: str) -> Tier | None:
        """Return the current version of a tier, if it is offered."""
        ...

    async def add_extension(
        self, session: Session, tier: Tier, *, now: datetime, answer: timedelta
    ) -> Extension:
        """Insert an extension that waits for the mitra's answer."""
        ...

    async def find_extension(self, extension_id: UUID) -> Extension | None:
        """Read an extension, open or settled."""
        ...

    async def save_extension(self, extension: Extension) -> None:
        """Write a held extension."""
        ...

    async def add_payment(
        self,
        session: Session,
        extension: Extension | None,
        *,
        order_id: str,
        expires_at: datetime,
        check_at: datetime,
    ) -> Payment:
        """Insert a pending payment, or return the one that exists."""
        ...

    async def save_payment(self, payment: Payment) -> None:
        """Write a held payment."""
        ...

    async def read_payment(self, payment_id: UUID) -> Payment:
        """Read a payment that exists, after its session was held."""
        ...

    async def note_word(self, payment: Payment, word: ProviderWord, source: str) -> bool:
        """Note what the provider said; False when this was noted before."""
        ...

    async def paid_parts(self, session: Session) -> Sequence[PaidPart]:
        """Return what was paid for the session and not given back, with the time it bought."""
        ...

    async def is_known_mitra(self, mitra_id: UUID) -> bool:
        """Say whether the directory has her, active or not."""
        ...

    async def goodbyes(self, session_id: UUID) -> int:
        """Return how many parties have said goodbye."""
        ...

    async def living_sessions(self, mitra_id: UUID) -> list[UUID]:
        """Lock the mitra's load, then return her sessions that have not ended."""
        ...

    async def set_capacity(
        self, mitra_id: UUID, capacity: int, origin: Literal["auth", "operator"]
    ) -> Capacity:
        """Set it and append capacity_changed; auth's word never overrides an operator's."""
        ...

    async def note_act(self, operator_id: UUID, act: str, subject: str, detail: object) -> None:
        """Write the audit row of what an operator does."""
        ...

    async def add_tier(
        self,
        tier_id: str,
        *,
        name: str,
        duration_seconds: int,
        price_idr: int,
        is_offered: bool,
        created_by: UUID,
    ) -> TierVersion:
        """Write a new version of a tier."""
        ...
