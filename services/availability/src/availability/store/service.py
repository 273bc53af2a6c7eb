"""The service's hours, version by version: added to, never rewritten."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from availability.domain import DateHours, Hours, Maintenance, Opening, ServiceVersion, Span
from availability.store.queries import QUERIES
from common.db import Database, Transaction


class ServiceVersions:
    """Who decided what about the service's hours, and when."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def last(self) -> ServiceVersion:
        """Return what counts now."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["service_version"])
        assert row is not None, "the first version comes with the table"
        return _version_of(row)

    async def page(self, *, before: int | None, limit: int) -> list[ServiceVersion]:
        """Return versions, newest first."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["service_versions"], before, limit)
        return [_version_of(row) for row in rows]

    async def add_hours(self, hours: Hours, *, expected: int, by: UUID) -> bool:
        """Add new hours; False when `expected` is not the last version any more."""
        weekly = [{"day": o.day, **o.span.written()} for o in hours.weekly]
        exceptions = [
            {"date": e.date, **(e.span.written() if e.span else {})} for e in hours.exceptions
        ]
        return await self._add(
            "add_hours", expected, hours.time_zone, _json(weekly), _json(exceptions), by
        )

    async def add_maintenance(self, switch: Maintenance, *, expected: int | None, by: UUID) -> bool:
        """Turn the switch; False when `expected` is not the last version, or another came first."""
        return await self._add(
            "add_maintenance", expected, switch.on, switch.note, switch.until, by
        )

    async def knows_time_zone(self, name: str) -> bool:
        """Say whether Postgres can reckon on the clocks of this zone."""
        async with self._db.connection() as connection:
            return bool(await connection.fetchval(QUERIES["knows_time_zone"], name))

    async def end_fits(self, until: datetime) -> bool:
        """Say whether this end lies ahead by the clock of Postgres, at most 366 days."""
        async with self._db.connection() as connection:
            return bool(await connection.fetchval(QUERIES["end_fits"], until))

    async def _add(self, query: str, *values: object) -> bool:
        async def work(tx: Transaction) -> bool:
            added = await tx.fetchval(QUERIES[query], *values) is not None
            await tx.fetchval(QUERIES["make_plan"])
            return added

        return await self._db.run(work)


def _json(items: Sequence[object]) -> str:
    return orjson.dumps(items).decode()


def _version_of(row: asyncpg.Record) -> ServiceVersion:
    return ServiceVersion(
        version=row["version"],
        hours=Hours(
            time_zone=row["time_zone"],
            weekly=tuple(_opening_of(item) for item in orjson.loads(row["weekly"])),
            exceptions=tuple(_date_hours_of(item) for item in orjson.loads(row["exceptions"])),
        ),
        maintenance=Maintenance(
            row["maintenance_on"], row["maintenance_note"], row["maintenance_until"]
        ),
        what=row["what"],
        changed_by=row["changed_by"],
        changed_at=row["changed_at"],
    )


def _opening_of(item: dict[str, Any]) -> Opening:
    return Opening(item["day"], Span.read(item["opens"], item["closes"]))


def _date_hours_of(item: dict[str, Any]) -> DateHours:
    span = Span.read(item["opens"], item["closes"]) if "opens" in item else None
    return DateHours(date.fromisoformat(item["date"]), span)
