"""What the handlers need from the outside, and nothing about how it is done."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar
from uuid import UUID

from chat.domain.extensions import Extension
from chat.domain.facts import Held, Story
from chat.domain.messages import Draft, Horizon, Message, Outcome, Sent
from chat.domain.payments import PaidPart, Payment, ProviderWord
from chat.domain.sessions import Session
from chat.domain.statistics import MitraActivity, Statistics
from chat.domain.values import Capacity, Due, Role, SensitivityChange, Tier, TierVersion

T = TypeVar("T")

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

    async def search_stories(self, search: "Search") -> list[Story]:
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

    async def living_sessions(self, mitra_id: UUID) -> list[UUID]:
        """Return a mitra's sessions that have not ended."""
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


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a customer pays."""

    token: str
    redirect_url: str


class PaymentProvider(Protocol):
    """Who takes the money. Every call may raise PaymentUnavailable: the outcome is then unknown."""

    async def create(
        self, order_id: str, *, amount_idr: int, item: str, hold: timedelta
    ) -> Checkout:
        """Open a checkout page; OrderTaken when the order id is known already."""
        ...

    async def status(self, order_id: str) -> ProviderWord | None:
        """Return what the provider knows of an order; None when nobody has tried to pay it."""
        ...

    async def refund(
        self, order_id: str, *, refund_key: str, amount_idr: int, reason: str
    ) -> ProviderWord | None:
        """Give money back, once per key; None when the provider refuses to."""
        ...

    def read_notification(self, body: bytes) -> ProviderWord:
        """Check the signature of a notification and return what it says."""
        ...


class Realtime(Protocol):
    """Reaches a user's open sockets, on whichever replica they are; loses what nobody holds."""

    def tell(self, user_id: UUID, frame: bytes) -> None:
        """Send a frame; never waits, never raises."""
        ...


class Beats(Protocol):
    """Where a mitra's heartbeat goes."""

    async def beat(self, mitra_id: UUID) -> bool | None:
        """Note it; False tells that she is offline, None that nobody could say."""
        ...


class Alarm(Protocol):
    """Wakes the ticker for a deadline that was just written."""

    def wake_at(self, seconds: float) -> None:
        """Look at the deadlines in this many seconds."""
        ...
