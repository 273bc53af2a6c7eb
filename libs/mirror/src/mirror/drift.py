"""Writes down what the mirror held otherwise than Postgres; to mend it never waits for that."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from common.db import Database, Queries, Unavailable
from common.log import get_logger
from mirror.outcomes import Applied, Mended, Seeded

_log = get_logger("mirror")
_QUERIES: Final = Queries.load(Path(__file__).with_name("drift.sql"))

FoundBy = Literal["reconcile", "reseed", "beat"]
Heal = Callable[[Collection[UUID]], Awaitable[Applied]]

# Of one step so many are kept one by one; the rest is only counted.
_MOST: Final = 200


class _Row(NamedTuple):
    mitra_id: UUID
    fact: str
    cause: str
    held: str | None
    truly: str | None


class DriftBook:
    """What was mended, by whom, and the full looks at the mirror. Nothing here ever fails."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def note(self, found_by: FoundBy, mended: Sequence[Mended]) -> int:
        """Keep what was mended; return how much of it was drift, and not a change on its way."""
        return await self._note(found_by, [_row(one) for one in mended])

    async def note_turn(self, *, seconds: float, mitras: int, found: int) -> None:
        """Keep that the reconcile has compared all mitras; what it finds it heals."""
        await self._ask("note_look", "reconcile", seconds, mitras, found, found)

    async def note_reseed(self, seeded: Seeded) -> None:
        """Keep what a reseed found, and that it has compared all mitras."""
        strangers = [_Row(one, "all", "stranger", "known", None) for one in seeded.strangers]
        found = await self._note("reseed", [*map(_row, seeded.applied.mended), *strangers])
        await self._ask("note_look", "reseed", seeded.seconds, seeded.mitras, found, found)

    def noting(self, heal: Heal) -> Heal:
        """Return the same heal, for somebody who beat astray: what it mends is kept."""

        async def heal_and_note(mitra_ids: Collection[UUID]) -> Applied:
            applied = await heal(mitra_ids)
            await self.note("beat", applied.mended)
            return applied

        return heal_and_note

    async def _note(self, found_by: FoundBy, rows: Sequence[_Row]) -> int:
        if not rows:
            return 0
        columns = [list(column) for column in zip(*rows[:_MOST], strict=True)]
        drifted = await self._ask("note_drift", found_by, *columns)
        return len(rows) if drifted is None else drifted + max(0, len(rows) - _MOST)

    async def _ask(self, name: str, *args: object) -> int | None:
        try:
            async with self._db.connection() as connection:
                answer: int | None = await connection.fetchval(_QUERIES[name], *args)
        except Unavailable as error:
            # Away, or not migrated yet while the releases change.
            _log.warning("drift_not_noted", reason=str(error))
            return None
        return answer


def _row(one: Mended) -> _Row:
    return _Row(one.mitra_id, one.fact, one.cause, one.held, one.true)
