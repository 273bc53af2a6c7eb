"""Why a mitra gets no requests: each fact that decides it, since when it is so, and what helps.

What the finder sees decides whether a fact is all right; since when is Postgres' to say, and only
where the two agree on the fact. Nobody's guess is ever shown as a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from availability.domain.status import OfflineReason, Status

Closed = Literal["switch", "hours"]


@dataclass(frozen=True, slots=True)
class Known:
    """What Postgres knows of one mitra, with the moments; all on Postgres' clock, as of `now`."""

    mitra_id: UUID
    display_name: str | None
    is_active: bool
    active_since: datetime | None
    is_online: bool
    online_since: datetime | None
    went_online_at: datetime | None
    offline_reason: OfflineReason | None
    last_heartbeat_at: datetime | None
    load: int
    capacity: int
    load_since: datetime | None
    was_here: bool
    now: datetime

    @property
    def beat_age(self) -> timedelta | None:
        """Return how old her last beat is, as far as Postgres heard."""
        if self.last_heartbeat_at is None:
            return None
        return max(timedelta(0), self.now - self.last_heartbeat_at)


@dataclass(frozen=True, slots=True)
class Doors:
    """Whether the service takes new requests, and if not: why, since when, and until when."""

    is_open: bool
    why: Closed | None = None
    note: str | None = None
    since: datetime | None = None
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineFact:
    """Whether she wants requests; why not, when she did not say so herself."""

    fact: Literal["online"] = field(default="online", init=False)
    ok: bool
    since: datetime | None
    reason: OfflineReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFact:
    """Whether operators let her work."""

    fact: Literal["active"] = field(default="active", init=False)
    ok: bool
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshFact:
    """Whether she was heard of lately; None while she is offline, when it does not matter."""

    fact: Literal["fresh"] = field(default="fresh", init=False)
    ok: bool | None
    since: datetime | None
    last_heartbeat_at: datetime | None
    heartbeat_age_seconds: float | None
    limit_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFact:
    """Whether she has a free slot; since when she holds that many of that many."""

    fact: Literal["load"] = field(default="load", init=False)
    ok: bool
    since: datetime | None
    load: int
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFact:
    """Whether the service takes new requests of anybody."""

    fact: Literal["service"] = field(default="service", init=False)
    ok: bool
    since: datetime | None
    why: Closed | None
    note: str | None
    opens_at: datetime | None


Fact = OnlineFact | ActiveFact | FreshFact | LoadFact | ServiceFact


def facts_of(
    status: Status, known: Known | None, doors: Doors, *, fresh_limit: timedelta, now: datetime
) -> list[Fact]:
    """Return every fact; `known` is None while Postgres is away, and with it most ages."""
    return [
        _online(status, known),
        ActiveFact(
            ok=status.is_active,
            since=known.active_since if known and known.is_active == status.is_active else None,
        ),
        _fresh(status, known, fresh_limit=fresh_limit, now=now),
        _load(status, known),
        ServiceFact(
            ok=doors.is_open,
            since=doors.since,
            why=doors.why,
            note=doors.note,
            opens_at=doors.opens_at,
        ),
    ]


def _online(status: Status, known: Known | None) -> OnlineFact:
    if known is None or known.is_online != status.is_online:
        return OnlineFact(ok=status.is_online, since=None, reason=None)
    reason = None if status.is_online else known.offline_reason
    return OnlineFact(ok=status.is_online, since=known.online_since, reason=reason)


def _fresh(
    status: Status, known: Known | None, *, fresh_limit: timedelta, now: datetime
) -> FreshFact:
    age = status.beat_age if status.beat_age is not None or known is None else known.beat_age
    ok = age is not None and age < fresh_limit if status.is_online else None
    return FreshFact(
        ok=ok,
        # A beat is fresh for as long as the limit; the moment after that is when she went stale.
        since=now - age + fresh_limit if ok is False and age is not None else None,
        last_heartbeat_at=None if age is None else now - age,
        heartbeat_age_seconds=None if age is None else age.total_seconds(),
        limit_seconds=fresh_limit.total_seconds(),
    )


def _load(status: Status, known: Known | None) -> LoadFact:
    same = known and (known.load, known.capacity) == (status.load, status.capacity)
    return LoadFact(
        ok=status.load < status.capacity,
        since=known.load_since if known and same else None,
        load=status.load,
        capacity=status.capacity,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that the mirror has otherwise than Postgres; None: it holds nothing of her."""

    fact: Literal["online", "active", "load", "available", "all"]
    mirror: str | None
    postgres: str


def differences(held: Status | None, known: Known) -> list[Difference]:
    """Return where the two disagree; who was never here need not be in the mirror."""
    if held is None:
        return [Difference("all", None, "known")] if known.was_here else []
    pairs: Sequence[tuple[Literal["online", "active", "load"], str, str]] = (
        ("online", str(held.is_online), str(known.is_online)),
        ("active", str(held.is_active), str(known.is_active)),
        ("load", f"{held.load}/{held.capacity}", f"{known.load}/{known.capacity}"),
    )
    return [Difference(fact, here, there) for fact, here, there in pairs if here != there]
