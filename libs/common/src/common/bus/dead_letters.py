"""Where events end that could not be handled, until somebody replays them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson
from prometheus_client import Counter

from common.db import Database, Queries, Unavailable
from common.log import get_logger

Reason = Literal["malformed", "exhausted"]

QUERIES = Queries.load(Path(__file__).with_name("dead_letters.sql"))

_log = get_logger("bus")
_buried = Counter("dead_letters_total", "Events given up", ["consumer", "reason"])
_ERROR_LENGTH = 2000


@dataclass(frozen=True)
class DeadLetter:
    """One event that a consumer could not handle, and why."""

    id: UUID
    consumer: str
    stream: str
    stream_seq: int
    subject: str
    event_id: UUID | None
    body: bytes
    headers: Mapping[str, str]
    reason: str
    error: str
    deliveries: int
    buried_at: datetime


class DeadLetters:
    """The table of one service."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def reachable(self) -> bool:
        """Whether Postgres answers: if not, a handler's failure says nothing about the event."""
        try:
            async with self._db.connection() as connection:
                await connection.fetchval("SELECT 1")
        except Unavailable:
            return False
        return True

    async def bury(
        self,
        *,
        consumer: str,
        stream: str,
        stream_seq: int,
        subject: str,
        event_id: UUID | None,
        body: bytes,
        headers: Mapping[str, str],
        reason: Reason,
        error: str,
        deliveries: int,
    ) -> None:
        """Keep the event with the reason, and say so loudly."""
        async with self._db.transaction() as tx:
            await tx.execute(
                QUERIES["bury"],
                consumer,
                stream,
                stream_seq,
                subject,
                event_id,
                body,
                orjson.dumps(dict(headers)).decode(),
                reason,
                error[:_ERROR_LENGTH],
                deliveries,
            )
        _buried.labels(consumer, reason).inc()
        _log.error("event_buried", consumer=consumer, subject=subject, reason=reason, error=error)

    async def waiting(self, limit: int = 100) -> list[DeadLetter]:
        """Return those that nobody has replayed, oldest first."""
        async with self._db.connection() as connection:
            return [_letter(row) for row in await connection.fetch(QUERIES["waiting"], limit)]

    async def one(self, letter_id: UUID) -> DeadLetter | None:
        """Return one of them, replayed or not."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["one"], letter_id)
        return None if row is None else _letter(row)

    async def replayed(self, letter_id: UUID) -> None:
        """Note that it was told again."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["replayed"], letter_id)


def _letter(row: asyncpg.Record) -> DeadLetter:
    values: dict[str, Any] = dict(row)
    values["headers"] = orjson.loads(values["headers"])
    return DeadLetter(**values)
