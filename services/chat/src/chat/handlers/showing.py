"""Showing sessions: as their deadlines have made them, with the names of both parties."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

from chat.domain import steps
from chat.domain.facts import Story
from chat.domain.messages import Horizon
from chat.domain.payments import Payment
from chat.domain.values import Limits
from chat.handlers import rendering
from chat.views import sessions as views

Reader = Literal["customer", "mitra", "operator"]

_REMEMBERED = 10_000


class Directory(Protocol):
    """Who knows the names."""

    async def mitra_names(self, mitra_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        ...

    async def customer_names(self, customer_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        ...


class Clock(Protocol):
    """The part of a clock that remembering needs."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...


class Names:
    """Display names, remembered for a minute: every frame shows two of them."""

    def __init__(self, directory: Directory, *, clock: Clock, seconds: float = 60.0) -> None:
        self._directory = directory
        self._clock = clock
        self._seconds = seconds
        self._known: dict[UUID, tuple[str, float]] = {}

    async def learn(self, stories: Iterable[Story]) -> None:
        """Look up whoever is not known (any more), in two statements at most."""
        now = self._clock.monotonic()
        sessions = [story.session for story in stories]
        mitras = {s.mitra_id for s in sessions if not self._fresh(s.mitra_id, now)}
        customers = {s.customer_id for s in sessions if not self._fresh(s.customer_id, now)}
        if mitras:
            self._keep(mitras, await self._directory.mitra_names(mitras), now)
        if customers:
            self._keep(customers, await self._directory.customer_names(customers), now)

    def of(self, user_id: UUID) -> str:
        """Return a name that was learned; empty when the directory does not know the user."""
        return self._known.get(user_id, ("", 0.0))[0]

    def _fresh(self, user_id: UUID, now: float) -> bool:
        known = self._known.get(user_id)
        return known is not None and known[1] > now

    def _keep(self, asked: Collection[UUID], names: Mapping[UUID, str], now: float) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        for user_id in asked:
            self._known[user_id] = (names.get(user_id, ""), now + self._seconds)


class Shows:
    """Renders sessions for whoever reads them."""

    def __init__(self, *, names: Names, limits: Limits) -> None:
        self._names = names
        self._limits = limits

    async def sessions(self, stories: Sequence[Story], reader: Reader) -> list[views.SessionView]:
        """Render sessions for one reader."""
        await self._names.learn(stories)
        return [self._view(story, reader) for story in stories]

    async def session(self, story: Story, reader: Reader) -> views.SessionView:
        """Render one session."""
        return (await self.sessions([story], reader))[0]

    def _view(self, story: Story, reader: Reader) -> views.SessionView:
        session, extension = steps.as_of(story.session, story.extension, story.now, self._limits)
        return views.SessionView(
            session_id=session.id,
            request_id=session.request_id,
            state=session.state,
            role=reader,
            customer=views.CustomerView(
                customer_id=session.customer_id, display_name=self._names.of(session.customer_id)
            ),
            mitra=views.MitraView(
                mitra_id=session.mitra_id, display_name=self._names.of(session.mitra_id)
            ),
            tier=rendering.tier_view(session.tier),
            topic=session.topic,
            sensitivity=session.sensitivity,
            created_at=session.created_at,
            pay_by=session.pay_by,
            activated_at=session.activated_at,
            ends_at=session.ends_at,
            expired_until=session.expired_until,
            closing_until=session.closing_until,
            completed_at=session.completed_at,
            ended_reason=session.ended_reason,
            last_seq=story.last_seq,
            version=session.version,
            customer_horizon=_horizon(story.customer),
            mitra_horizon=_horizon(story.mitra),
            extension=None if extension is None else rendering.extension_view(extension),
            payment=None if story.payment is None else _payment_state(story.payment),
        )


def _horizon(horizon: Horizon) -> views.HorizonView:
    return views.HorizonView(delivered_seq=horizon.delivered_seq, read_seq=horizon.read_seq)


def _payment_state(payment: Payment) -> views.PaymentStateView:
    return views.PaymentStateView(
        state=payment.state, amount_idr=payment.amount_idr, refund_idr=payment.refund_idr
    )
