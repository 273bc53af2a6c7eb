"""The inbox: an event that was handled once changes nothing when it comes again."""

from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from common.db import Database, Queries, Transaction

QUERIES = Queries.load(Path(__file__).with_name("inbox.sql"))
# Longer than any stream holds an event, with days to replay a dead letter.
KEEP: Final = timedelta(days=10)
_BATCH = 5000


async def first_time(tx: Transaction, *, consumer: str, event_id: UUID) -> bool:
    """Note the event with the commit; return whether this consumer had not seen it before."""
    return await tx.fetchval(QUERIES["note"], consumer, event_id) is not None


async def prune(db: Database, *, older_than: timedelta = KEEP) -> int:
    """Forget old events in batches and return how many."""
    pruned = 0
    while True:
        async with db.connection() as connection:
            tag = await connection.execute(QUERIES["prune"], older_than.total_seconds(), _BATCH)
        removed = int(tag.split()[-1])
        pruned += removed
        if removed < _BATCH:
            return pruned
