"""The operators' list of mitras."""

from typing import Final
from uuid import UUID

from availability.domain import RosterRow
from availability.store.ages import age_of
from availability.store.queries import QUERIES
from common.db import Database

_NOBODY: Final = UUID(int=0)


class Roster:
    """All mitras who were ever here, page by page."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, *, after: UUID | None, limit: int, online: bool | None) -> list[RosterRow]:
        """Return mitras in the order of their ids."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["roster"], after or _NOBODY, limit, online)
        return [
            RosterRow(
                mitra_id=row["mitra_id"],
                display_name=row["display_name"],
                is_online=row["is_online"],
                is_active=row["is_active"],
                beat_age=age_of(row["beat_age_seconds"]),
                went_online_at=row["went_online_at"],
                offline_reason=row["offline_reason"],
                load=row["load"],
                capacity=row["capacity"],
            )
            for row in rows
        ]
