"""What is shown: single statements, no locks."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

from chat.domain.extensions import Extension
from chat.domain.facts import Story
from chat.domain.messages import Message
from chat.domain.payments import Payment
from chat.domain.statistics import (
    MitraActivity,
    MoneyCount,
    RaisedCount,
    SessionCount,
    Statistics,
)
from chat.domain.values import Capacity, Due, Role, SensitivityChange, TierVersion
from chat.ports import Search
from chat.store import rows
from chat.store.queries import QUERIES
from common.db import Connection, Database


class Reads:
    """The questions that change nothing."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read_story(self, session_id: UUID) -> Story | None:
        """Read a session with what belongs to it."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["read_stories"], [session_id])
        return None if row is None else rows.story_of(row)

    async def list_stories(
        self, user_id: UUID, role: Role, *, states: Collection[str], before: UUID | None, limit: int
    ) -> list[Story]:
        """Read a party's sessions, newest first."""
        query = QUERIES["customer_sessions" if role == "customer" else "mitra_sessions"]
        async with self._db.connection() as connection:
            found = await connection.fetch(query, user_id, list(states), before, limit)
            return await _stories(connection, [row["id"] for row in found])

    async def search_stories(self, search: Search) -> list[Story]:
        """Read sessions for operators, newest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(
                QUERIES["search_sessions"],
                search.state,
                search.topic,
                search.sensitivity,
                search.mitra_id,
                search.customer_id,
                search.created_from,
                search.created_until,
                search.before,
                search.limit,
            )
            return await _stories(connection, [row["id"] for row in found])

    async def read_messages(self, session_id: UUID, *, after_seq: int, limit: int) -> list[Message]:
        """Read messages in order."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["read_messages"], session_id, after_seq, limit)
        return [rows.message_of(row) for row in found]

    async def session_extensions(self, session_id: UUID) -> list[Extension]:
        """Read all extensions of a session, oldest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["session_extensions"], session_id)
        return [rows.extension_of(row) for row in found]

    async def session_payments(self, session_id: UUID) -> list[Payment]:
        """Read all payments of a session, oldest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["session_payments"], session_id)
        return [rows.payment_of(row) for row in found]

    async def sensitivity_log(self, session_id: UUID) -> list[SensitivityChange]:
        """Read who raised the sensitivity, oldest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["sensitivity_changes"], session_id)
        return [SensitivityChange(**dict(row)) for row in found]

    async def find_payment(self, order_id: str) -> Payment | None:
        """Find a payment by its order id."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["payment_of_order"], order_id)
        return None if row is None else rows.payment_of(row)

    async def due(self, limit: int) -> list[Due]:
        """Return deadlines that have passed, oldest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["due"], limit)
        return [Due(row["kind"], row["id"]) for row in found]

    async def upcoming(self, within: timedelta) -> list[float]:
        """Return in how many seconds deadlines come that are not due yet."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["upcoming"], within)
        return [row["seconds"] for row in found]

    async def tiers(self, *, only_offered: bool) -> list[TierVersion]:
        """Return the current version of every tier, cheapest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["current_tiers"])
        tiers = [rows.tier_version_of(row) for row in found]
        return [tier for tier in tiers if tier.is_offered or not only_offered]

    async def tier_versions(self, tier_id: str) -> list[TierVersion]:
        """Return all versions of a tier, newest first."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["tier_versions"], tier_id)
        return [rows.tier_version_of(row) for row in found]

    async def capacity(self, mitra_id: UUID) -> Capacity:
        """Return a mitra's capacity and load."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["load_of"], mitra_id)
        assert row is not None
        return Capacity(mitra_id, row["capacity"], row["load"], row["version"])

    async def statistics(self, since: timedelta) -> Statistics:
        """Count sessions, raised sensitivities and payments."""
        async with self._db.connection() as connection:
            counted = await connection.fetch(QUERIES["session_counts"], since)
            raised = await connection.fetch(QUERIES["raised_counts"], since)
            money = await connection.fetch(QUERIES["money_counts"], since)
            now = await connection.fetchval(QUERIES["now"])
        return Statistics(
            as_of=now,
            sessions=[SessionCount(**dict(row)) for row in counted],
            raised=[RaisedCount(**dict(row)) for row in raised],
            money=[MoneyCount(**dict(row)) for row in money],
        )

    async def mitra_activity(
        self, mitra_ids: Collection[UUID], since: timedelta
    ) -> list[MitraActivity]:
        """Count what each of these mitras did."""
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES["mitra_activity"], list(mitra_ids), since)
        return [MitraActivity(**dict(row)) for row in found]

    async def mitra_names(self, mitra_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        return await self._names("mitra_names", mitra_ids)

    async def customer_names(self, customer_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the display names that the directory knows."""
        return await self._names("customer_names", customer_ids)

    async def _names(self, query: str, ids: Collection[UUID]) -> Mapping[UUID, str]:
        async with self._db.connection() as connection:
            found = await connection.fetch(QUERIES[query], list(ids))
        return {row["id"]: row["display_name"] or "" for row in found}


async def _stories(connection: Connection, ids: list[UUID]) -> list[Story]:
    if not ids:
        return []
    return [rows.story_of(row) for row in await connection.fetch(QUERIES["read_stories"], ids)]
