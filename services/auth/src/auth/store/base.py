"""What every group of rows shares: the open transaction and the named queries."""

from pathlib import Path
from typing import Final

from common.db import Queries, Transaction

QUERIES: Final = Queries.load(Path(__file__).with_name("queries"))


class Rows:
    """A group of rows within one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def _changed(self, query: str, *args: object) -> bool:
        """Run an UPDATE or DELETE; True if a row was changed."""
        tag = await self._tx.execute(QUERIES[query], *args)
        return not tag.endswith(" 0")
