"""The service plan: when new requests are taken, held here so that reading it costs nothing.

Postgres alone makes the plan; a reader compares the time with it. It knows the changes to come, so
it stays right at each of them, and for days while Postgres is away.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from common.clock import Clock
from common.db import Database, Queries, Unavailable
from common.log import get_logger

_log = get_logger("service_plan")
_QUERIES: Final = Queries.load(Path(__file__).with_name("plan.sql"))

Why = Literal["switch", "hours"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """From this moment on the service is open, or closed and why; until the next stretch."""

    starts_at: datetime
    is_open: bool
    why: Why | None = None
    # What an operator wrote beside the switch.
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Whether the service takes new requests at one moment."""

    is_open: bool
    why: Why | None = None
    note: str | None = None
    # The next opening, while closed, and the next closing, while open; None when none is known.
    opens_at: datetime | None = None
    closes_at: datetime | None = None


OPEN: Final = Service(is_open=True)


class ServiceHours(Protocol):
    """Whoever knows whether the service is open."""

    def now(self) -> Service:
        """Say how it is at this moment."""
        ...


def service_at(plan: Sequence[Stretch], moment: datetime) -> Service:
    """Read the plan at a moment; before its first stretch that one counts."""
    present = max((s for s in plan if s.starts_at <= moment), key=_start, default=plan[0])
    later = [s for s in plan if s.starts_at > max(moment, present.starts_at)]
    turns_at = next((s.starts_at for s in later if s.is_open != present.is_open), None)
    return Service(
        is_open=present.is_open,
        why=present.why,
        note=present.note,
        opens_at=None if present.is_open else turns_at,
        closes_at=turns_at if present.is_open else None,
    )


class ServicePlan:
    """The plan as last read, on the clock of Postgres: no clock of ours has to be right."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._plan: tuple[Stretch, ...] = ()
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    def now(self) -> Service:
        """Say how it is at this moment; open, as far as anybody knows, before the first reading."""
        if not self._plan:
            return OPEN
        return service_at(self._plan, self._postgres_time())

    async def refresh(self) -> bool:
        """Read the plan anew; return whether it says anything new. Kept when Postgres is away."""
        # One at a time: an answer from before a change must not come after the one from behind it.
        async with self._reading:
            before = self.now() if self._plan else None
            try:
                self._plan, self._read_at = await self._read()
            except Unavailable as error:
                _log.debug("service_plan_kept", reason=str(error))
                return False
            return self.now() != before

    async def _read(self) -> tuple[tuple[Stretch, ...], float]:
        async with self._db.connection() as connection:
            asked_at = self._clock.monotonic()
            rows = await connection.fetch(_QUERIES["service_plan"])
            # Postgres looked at its clock about half way.
            read_at = (asked_at + self._clock.monotonic()) / 2
        return tuple(Stretch(**dict(row)) for row in rows), read_at

    def _postgres_time(self) -> datetime:
        # The first stretch of a plan starts in the moment in which Postgres made it.
        since = timedelta(seconds=self._clock.monotonic() - self._read_at)
        return self._plan[0].starts_at + since


def _start(stretch: Stretch) -> datetime:
    return stretch.starts_at
