"""What the handlers need from outside."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from availability.domain import (
    Change,
    Hours,
    Maintenance,
    OfflineReason,
    RosterRow,
    ServiceVersion,
    Stale,
    Status,
)
from availability.domain.brake import Brake
from availability.domain.drift import Drifted, Looks, Reseed
from availability.domain.facts import Known
from availability.domain.online_time import OnlineTime, Window
from mirror import LoadFact


class Store(Protocol):
    """The truth: Postgres."""

    async def go_online(self, mitra_id: UUID, *, login_id: UUID) -> Status:
        """Set her online and tell it; raises MitraInactive, MitraUnknown."""
        ...

    async def go_offline(self, mitra_id: UUID, *, reason: OfflineReason) -> Change | None:
        """Set her offline and tell it; None for a mitra who was never here."""
        ...

    async def leave(self, mitra_id: UUID, *, login_id: UUID, event_id: UUID) -> Change | None:
        """Set her offline if this login, which has ended, is the one she is online by."""
        ...

    async def settle_deactivated(self, mitra_id: UUID) -> Change | None:
        """Set her offline if she is deactivated now; None when she is not or was never here."""
        ...

    async def mark_stale_offline(self, items: Sequence[Stale], *, fence: int) -> list[Change]:
        """Set offline whoever is still as the sweep saw her; raises FencePassed."""
        ...

    async def welcome(self, mitra_id: UUID) -> None:
        """Make a row for a new mitra, offline."""
        ...

    async def status(self, mitra_id: UUID) -> Status:
        """Return what Postgres knows of her; raises MitraUnknown."""
        ...

    async def due(self, limit: int) -> list[UUID]:
        """Return mitras who are online although deactivated, as far as this look finds them."""
        ...


class Roster(Protocol):
    """The operators' list."""

    async def page(self, *, after: UUID | None, limit: int, online: bool | None) -> list[RosterRow]:
        """Return mitras in the order of their ids."""
        ...


class ServiceVersions(Protocol):
    """What was decided about the service's hours."""

    async def last(self) -> ServiceVersion:
        """Return what counts now."""
        ...

    async def page(self, *, before: int | None, limit: int) -> list[ServiceVersion]:
        """Return versions, newest first."""
        ...

    async def add_hours(self, hours: Hours, *, expected: int, by: UUID) -> bool:
        """Add new hours; False when `expected` is not the last version any more."""
        ...

    async def add_maintenance(self, switch: Maintenance, *, expected: int | None, by: UUID) -> bool:
        """Turn the switch; False when `expected` is not the last version, or another came first."""
        ...

    async def knows_time_zone(self, name: str) -> bool:
        """Say whether Postgres can reckon on the clocks of this zone."""
        ...

    async def end_fits(self, until: datetime) -> bool:
        """Say whether this end lies ahead by the clock of Postgres, at most 366 days."""
        ...


class InsightStore(Protocol):
    """What Postgres knows of one mitra, with the moments; reads only."""

    async def known(self, mitra_id: UUID) -> Known:
        """Return each fact of a mitra and since when it is so; raises MitraUnknown."""
        ...

    async def closed_since(self) -> datetime | None:
        """Return since when the service is closed; None while it is open."""
        ...

    async def now(self) -> datetime:
        """Return Postgres' time."""
        ...

    async def online_time(
        self, mitra_id: UUID, window: Window, *, after: UUID | None, limit: int
    ) -> OnlineTime:
        """Return her time online within the window; raises MitraUnknown."""
        ...


class DriftStore(Protocol):
    """What the mirror had otherwise than Postgres."""

    async def page(self, *, before: UUID | None, limit: int) -> list[Drifted]:
        """Return what was mended, the newest first."""
        ...

    async def looks(self) -> Looks:
        """Return the last full looks at the mirror."""
        ...

    async def prune(self) -> int:
        """Delete what is past its keeping time, a bounded bite; return how many rows."""
        ...


class ReseedStore(Protocol):
    """The reseeds that operators ordered."""

    async def add(self, reseed_id: UUID, *, asked_by: UUID) -> None:
        """Note that one was ordered."""
        ...

    async def waits(self, reseed_id: UUID) -> None:
        """Note that it waits for another one to end."""
        ...

    async def moved(self, reseed_id: UUID, mitras: int) -> None:
        """Note how many mitras were read."""
        ...

    async def done(self, reseed_id: UUID, *, mitras: int, healed: int, strangers: int) -> None:
        """Note what it did."""
        ...

    async def failed(self, reseed_id: UUID, reason: str) -> None:
        """Note why it could not be done."""
        ...

    async def get(self, reseed_id: UUID) -> Reseed:
        """Return what became of one; raises ReseedUnknown."""
        ...


class BrakeStore(Protocol):
    """The sweeper's stopped pass; each raises Unavailable while nobody can be asked."""

    async def now(self) -> Brake | None:
        """Return the pass that is stopped now."""
        ...

    async def confirm(self, brake_id: UUID, *, by: UUID) -> int:
        """Let this pass go on; returns how many it takes. Raises NoBrake, BrakeChanged."""
        ...


class Leases(Protocol):
    """The right to do something alone, for a while."""

    async def hold(self, lease: str, *, holder: UUID, seconds: float) -> bool:
        """Take or keep a lease."""
        ...


class Serving(Protocol):
    """Since when there has been a replica to bring beats to."""

    async def serve(self, *, gap_seconds: float) -> None:
        """Note that beats can be brought here; after a gap of all replicas it begins anew."""
        ...


class LoadStore(Protocol):
    """Chat's count of slots, with the history of Postgres it belongs to."""

    async def loads(self, mitra_ids: Sequence[UUID]) -> list[LoadFact]:
        """Return the loads of these mitras, value and version from one statement."""
        ...


class Mirroring(Protocol):
    """Brings changes into the mirror, at once or as soon as there is one."""

    async def show(self, mitra_ids: Collection[UUID]) -> None:
        """Write what Postgres says of these mitras now; never fails, owed until it is done."""
        ...

    def uncertain(self, mitra_ids: Collection[UUID]) -> AbstractContextManager[None]:
        """Owe these mitras where nobody learns whether what is done inside was committed."""
        ...


class LoadMirroring(Protocol):
    """Brings loads into the mirror, at once or as soon as there is one."""

    async def show_loads(self, loads: Sequence[LoadFact]) -> None:
        """Write these loads; never fails, owed until it is done."""
        ...


class Debts(Protocol):
    """Changes that the mirror has yet to take."""

    async def settle_debts(self) -> int:
        """Try them again; return how many mitras are still owed."""
        ...
