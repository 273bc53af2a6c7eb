"""Small stand-ins for what the handlers need."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from availability.domain import Hours, Maintenance, ServiceVersion
from common.db import Unavailable
from mirror import Counts, Histogram, LoadFact, MirrorUnavailable, Stamp
from mirror.plan import OPEN, Service

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class FakeLoads:
    """Chat's loads: each statement is recorded."""

    def __init__(self) -> None:
        self.statements: list[set[UUID]] = []
        self.told: list[LoadFact] = []
        self.down = False

    async def loads(self, mitra_ids: Sequence[UUID]) -> list[LoadFact]:
        """Answer one statement."""
        self.statements.append(set(mitra_ids))
        version = len(self.statements)
        if self.down:
            raise Unavailable
        return [LoadFact(one, Stamp(1, version), 1, 3) for one in mitra_ids]

    async def show_loads(self, loads: Sequence[LoadFact]) -> None:
        """Take what the mirror would be told."""
        self.told += loads


class FakeClock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the set moment."""
        return self.at

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self.at.timestamp()

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


class FakeHours:
    """Open until told otherwise."""

    def __init__(self) -> None:
        self.service = OPEN

    def now(self) -> Service:
        """Answer."""
        return self.service

    async def refresh(self) -> bool:
        """Say that it is news."""
        return True


class FakePresence:
    """Counts and loads as set; away when told."""

    def __init__(self) -> None:
        self.answer = Counts(0, 0, 0, source="mirror")
        self.loads = Histogram({0: 2}, source="mirror")
        self.looked = 0
        self.asked = 0
        self.away = False

    async def counts(self) -> Counts:
        """Answer."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable
        return self.answer

    async def histogram(self) -> Histogram:
        """Answer."""
        self.looked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable
        return self.loads


class FakeMirror:
    """The part of the mirror that keeps the snapshot."""

    def __init__(self) -> None:
        self.kept: bytes | None = None
        self.away = False

    @property
    def is_there(self) -> bool:
        """Whether it answers."""
        return not self.away

    async def snapshot(self) -> bytes | None:
        """Return what was kept."""
        if self.away:
            raise MirrorUnavailable("away")
        return self.kept

    async def tell_snapshot(self, body: bytes) -> None:
        """Keep it."""
        if self.away:
            raise MirrorUnavailable("away")
        self.kept = body


class FakeLeases:
    """One lease, for one holder."""

    def __init__(self) -> None:
        self.holder: UUID | None = None
        self.away = False

    async def hold(self, lease: str, *, holder: UUID, seconds: float) -> bool:
        """Give it to whoever comes first."""
        if self.away:
            raise Unavailable
        if self.holder is None:
            self.holder = holder
        return self.holder == holder


class FakeVersions:
    """What was decided; somebody else is faster as often as told."""

    def __init__(self) -> None:
        self.written = [
            ServiceVersion(1, Hours("UTC"), Maintenance(on=False), "start", None, _BEGINNING)
        ]
        self.rivals = 0

    async def last(self) -> ServiceVersion:
        """Return the newest."""
        return self.written[-1]

    async def page(self, *, before: int | None, limit: int) -> list[ServiceVersion]:
        """Return the newest first."""
        return [one for one in self.written[::-1] if before is None or one.version < before][:limit]

    async def add_hours(self, hours: Hours, *, expected: int, by: UUID) -> bool:
        """Add hours, unless it is too late."""
        return self._add(expected, hours, self.written[-1].maintenance, by)

    async def add_maintenance(self, switch: Maintenance, *, expected: int | None, by: UUID) -> bool:
        """Turn the switch, unless it is too late."""
        return self._add(expected, self.written[-1].hours, switch, by)

    async def knows_time_zone(self, name: str) -> bool:
        """Know one zone."""
        return name == "UTC"

    async def end_fits(self, until: datetime) -> bool:
        """Fit."""
        return until > _BEGINNING

    def _add(self, expected: int | None, hours: Hours, switch: Maintenance, by: UUID) -> bool:
        last = self.written[-1]
        if self.rivals:
            self.rivals -= 1
            self.written.append(replace(last, version=last.version + 1))
            return False
        if expected not in (None, last.version):
            return False
        self.written.append(
            ServiceVersion(last.version + 1, hours, switch, "maintenance", by, _BEGINNING)
        )
        return True
