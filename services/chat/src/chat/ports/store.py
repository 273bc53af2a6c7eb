"""Postgres, as the handlers see it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from chat.domain.extensions import Extension
from chat.domain.facts import Story
from chat.domain.messages import Draft, Horizon, Message, Outcome, Sent
from chat.domain.payments import Payment
from chat.domain.statistics import MitraActivity, Statistics
from chat.domain.values import Capacity, Due, Role, SensitivityChange, TierVersion
from chat.ports.work import Work

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What an operator looks for; None means any."""

    state: str | None = None
    topic: str | None = None
    sensitivity: str | None = None
    mitra_id: UUID | None = None
    customer_id: UUID | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


class Store(Protocol):
    """Postgres: transactions for what changes, single statements for what is shown."""

    async def run(self, work: Callable[[Work], Awaitable[T]]) -> T:
        """Run `work` in one transaction; again when a lock was in the way."""
        ...

    async def once(
        self, consumer: str, event_id: UUID, work: Callable[[Work], Awaitable[T]]
    ) -> T | None:
        """Run `work` in one transaction unless this consumer has handled the event already."""
        ...

    async def add_messages(self, drafts: Sequence[Draft]) -> list[tuple[Outcome, Sent | None]]:
        """Commit a batch of messages; answer each in its place."""
        ...

    async def read_story(self, session_id: UUID) -> Story | None:
        """Read a session with what belongs to it."""
        ...

    async def list_stories(
        self, user_id: UUID, role: Role, *, states: Collection[str], before: UUID | None, limit: int
    ) -> list[Story]:
        """Read a party's sessions, newest first."""
        ...

    async def search_stories(self, search: Search) -> list[Story]:
        """Read sessions for operators, newest first."""
        ...

    async def read_messages(self, session_id: UUID, *, after_seq: int, limit: int) -> list[Message]:
        """Read messages in order."""
        ...

    async def session_extensions(self, session_id: UUID) -> list[Extension]:
        """Read all extensions of a session, oldest first."""
        ...

    async def session_payments(self, session_id: UUID) -> list[Payment]:
        """Read all payments of a session, oldest first."""
        ...

    async def sensitivity_log(self, session_id: UUID) -> list[SensitivityChange]:
        """Read who raised the sensitivity, oldest first."""
        ...

    async def find_payment(self, order_id: str) -> Payment | None:
        """Find a payment by its order id."""
        ...

    async def keep_checkout(self, payment_id: UUID, order_id: str, token: str, url: str) -> Payment:
        """Keep where to pay, unless another call was faster; return the payment as it is."""
        ...

    async def rename_order(self, payment_id: UUID, old: str, new: str) -> Payment:
        """Give a payment without a checkout another order id; return the payment as it is."""
        ...

    async def claim_checks(self, limit: int) -> list[Payment]:
        """Take payments that the provider should be asked about now, for this replica."""
        ...

    async def claim_refunds(self, limit: int) -> list[Payment]:
        """Take payments that are due to be refunded now, for this replica."""
        ...

    async def move_horizon(
        self, session_id: UUID, user_id: UUID, *, delivered: int, read: int
    ) -> Horizon | None:
        """Move a party's horizons forward; None when nothing moved or it is not her session."""
        ...

    async def mitras_alive(self, mitra_ids: Collection[UUID], silence: timedelta) -> None:
        """Note a sign of life of these mitras in the sessions that wait for one."""
        ...

    async def mitra_left(self, mitra_id: UUID, lost: timedelta) -> None:
        """Note that a mitra's last socket here is gone."""
        ...

    async def due(self, limit: int) -> list[Due]:
        """Return deadlines that have passed, oldest first."""
        ...

    async def upcoming(self, within: timedelta) -> list[float]:
        """Return in how many seconds deadlines come that are not due yet."""
        ...

    async def tiers(self, *, only_offered: bool) -> list[TierVersion]:
        """Return the current version of every tier."""
        ...

    async def tier_versions(self, tier_id: str) -> list[TierVersion]:
        """Return all versions of a tier, newest first."""
        ...

    async def capacity(self, mitra_id: UUID) -> Capacity:
        """Return a mitra's capacity and load."""
        ...

    async def statistics(self, since: timedelta) -> Statistics:
        """Count sessions, raised sensitivities and payments."""
        ...

    async def mitra_activity(
        self, mitra_ids: Collection[UUID], since: timedelta
    ) -> list[MitraActivity]:
        """Count what each of these mitras did."""
        ...

    async def mitra_names(self, mitra_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        ...

    async def customer_names(self, customer_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        ...
