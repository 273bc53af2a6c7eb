"""What is told of one mitra: her facts with their moments, and her time online."""

from datetime import datetime
from uuid import UUID

import asyncpg

from availability.domain.facts import Known
from availability.domain.online_time import Interval, OnlineTime, Window
from availability.errors import MitraUnknown
from availability.store.queries import QUERIES
from common.db import Database
from mirror import Bulkhead


class Insight:
    """Reads only; every moment is Postgres'.

    What each look at a status asks goes through the bulkhead: many who look take nothing down.
    """

    def __init__(self, db: Database, *, bulkhead: Bulkhead) -> None:
        self._db = db
        self._bulkhead = bulkhead

    async def known(self, mitra_id: UUID) -> Known:
        """Return each fact of a mitra and since when it is so; raises MitraUnknown."""
        row = await self._bulkhead.ask(("facts", mitra_id), lambda: self._facts_of(mitra_id))
        if row is None:
            raise MitraUnknown
        return Known(mitra_id=mitra_id, **dict(row))

    async def closed_since(self) -> datetime | None:
        """Return since when the service is closed; None while it is open."""
        return await self._bulkhead.ask("closed_since", self._closed_since)

    async def now(self) -> datetime:
        """Return Postgres' time."""
        async with self._db.connection() as connection:
            now: datetime = await connection.fetchval(QUERIES["postgres_now"])
        return now

    async def online_time(
        self, mitra_id: UUID, window: Window, *, after: UUID | None, limit: int
    ) -> OnlineTime:
        """Return her time online within the window; raises MitraUnknown."""
        async with self._db.connection() as connection:
            if not await connection.fetchval(QUERIES["is_known"], mitra_id):
                raise MitraUnknown
            rows = await connection.fetch(
                QUERIES["online_time"], mitra_id, window.starts_at, window.ends_at, after, limit
            )
        page = [row for row in rows if row["interval_id"] is not None]
        return OnlineTime(
            window=window,
            seconds=rows[0]["total_seconds"],
            count=rows[0]["intervals"],
            intervals=[
                Interval(
                    starts_at=row["starts_at"],
                    ends_at=row["ends_at"],
                    seconds=row["seconds"],
                    reason=None if row["is_open"] else row["end_reason"],
                    is_open=row["is_open"],
                    went_online_at=row["started_at"],
                )
                for row in page
            ],
            next_cursor=str(page[-1]["interval_id"]) if len(page) == limit else None,
        )

    async def _facts_of(self, mitra_id: UUID) -> asyncpg.Record | None:
        async with self._db.connection() as connection:
            return await connection.fetchrow(QUERIES["facts_of"], mitra_id)

    async def _closed_since(self) -> datetime | None:
        async with self._db.connection() as connection:
            since: datetime | None = await connection.fetchval(QUERIES["closed_since"])
        return since
