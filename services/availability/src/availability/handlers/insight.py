"""Why a mitra gets no requests, how long she was online, and whether the mirror has her right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from availability.domain import Status
from availability.domain.facts import Difference, Doors, Fact, Known, differences, facts_of
from availability.domain.online_time import OnlineTime, window
from availability.ports import InsightStore
from common.clock import Clock
from common.db import Unavailable
from mirror import Mirror, MirrorState, MirrorUnavailable, MitraStatus, Presence
from mirror.plan import ServiceHours


@dataclass(frozen=True, slots=True)
class Explained:
    """Her status, and each fact that it follows from."""

    status: Status
    facts: Sequence[Fact]


@dataclass(frozen=True, slots=True)
class Held:
    """What the mirror holds of one mitra; `status` None: not all of her facts."""

    status: Status | None
    is_in_answer: bool


@dataclass(frozen=True, slots=True)
class Inspected:
    """A mitra as operators see her: who answered, what Postgres knows, what the mirror holds.

    `held` is None while there is no mirror; then nobody can say whether it agrees.
    """

    explained: Explained
    known: Known
    state: MirrorState
    held: Held | None
    differences: Sequence[Difference]


class Insight:
    """Answers from what others hold; changes nothing."""

    def __init__(
        self,
        *,
        store: InsightStore,
        presence: Presence,
        mirror: Mirror,
        state: Callable[[], MirrorState],
        hours: ServiceHours,
        fresh_limit: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._presence = presence
        self._mirror = mirror
        self._state = state
        self._hours = hours
        self._fresh_limit = fresh_limit
        self._clock = clock

    async def explain(self, mitra_id: UUID) -> Explained:
        """Return her status with each fact; raises MitraUnknown, and needs one of the two stores.

        While Postgres is away nobody knows since when: the facts come without.
        """
        found = await self._presence.status(mitra_id)
        try:
            known = await self._store.known(mitra_id)
        except Unavailable:
            if found is None:
                raise
            return await self._explained(_as_held(found), None)
        return await self._explained(_status_of(found, known), known)

    async def inspect(self, mitra_id: UUID) -> Inspected:
        """Return all that is known of her, and where the mirror disagrees; raises MitraUnknown."""
        known, held, found = await self._compared(mitra_id)
        if found:
            # A change may have come between the two looks; what stays so is a disagreement.
            known, held, found = await self._compared(mitra_id)
        status = held.status if held is not None else None
        if status is None:
            status = _status_of(await self._presence.status(mitra_id), known)
        return Inspected(
            explained=await self._explained(status, known),
            known=known,
            state=self._state(),
            held=held,
            differences=found,
        )

    async def online_time(
        self,
        mitra_id: UUID,
        *,
        starts_at: datetime | None,
        ends_at: datetime | None,
        after: UUID | None,
        limit: int,
    ) -> OnlineTime:
        """Return her time online; raises MitraUnknown, WindowEmpty, WindowTooLong."""
        asked = window(starts_at=starts_at, ends_at=ends_at, now=await self._store.now())
        return await self._store.online_time(mitra_id, asked, after=after, limit=limit)

    # --- inside ------------------------------------------------------------------------------

    async def _explained(self, status: Status, known: Known | None) -> Explained:
        facts = facts_of(
            status,
            known,
            await self._doors(),
            fresh_limit=self._fresh_limit,
            now=self._clock.now(),
        )
        return Explained(status, facts)

    async def _compared(self, mitra_id: UUID) -> tuple[Known, Held | None, list[Difference]]:
        known = await self._store.known(mitra_id)
        try:
            held = await self._mirror.status(mitra_id)
            there = (await self._mirror.is_reachable([mitra_id]))[mitra_id]
        except MirrorUnavailable:
            return known, None, []
        status = None if held is None else _as_held(held)
        found = differences(status, known)
        if status is not None:
            found += _kept_wrongly(status, there.available, self._fresh_limit)
        return known, Held(status, there.available), found

    async def _doors(self) -> Doors:
        service = self._hours.now()
        if service.is_open:
            return Doors(is_open=True)
        try:
            since = await self._store.closed_since()
        except Unavailable:
            since = None
        return Doors(
            is_open=False,
            why=service.why,
            note=service.note,
            since=since,
            opens_at=service.opens_at,
        )


def _as_held(found: MitraStatus) -> Status:
    age = found.beat_age_ms
    return Status(
        mitra_id=found.mitra_id,
        is_online=found.is_online,
        is_active=found.is_active,
        beat_age=None if age is None else timedelta(milliseconds=age),
        load=found.load,
        capacity=found.capacity,
        source=found.source,
    )


def _status_of(found: MitraStatus | None, known: Known) -> Status:
    """Return her status; who was never here is known to her neighbours alone."""
    if found is not None:
        return _as_held(found)
    return Status(
        mitra_id=known.mitra_id,
        is_online=known.is_online,
        is_active=known.is_active,
        beat_age=known.beat_age,
        load=known.load,
        capacity=known.capacity,
        source="postgres",
    )


def _kept_wrongly(status: Status, is_in_answer: bool, fresh_limit: timedelta) -> list[Difference]:  # noqa: FBT001 - a comparison of two
    follows = not status.hindrances(fresh_limit)
    if follows == is_in_answer:
        return []
    return [Difference("available", str(is_in_answer), str(follows))]
