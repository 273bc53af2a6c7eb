"""Tidying: what is past its time ends, what is old goes. Nothing depends on its being done."""

from collections.abc import Sequence
from uuid import UUID

from auth.domain.audit import Entry
from auth.ports import AuditRow, Store, Unit
from common.log import get_logger

log = get_logger("housekeeping")

_BATCH = 200


class HousekeepingHandlers:
    """Settles due rows and deletes old ones."""

    def __init__(self, *, store: Store, people_days: int, control_days: int) -> None:
        self._store = store
        self._people_days = people_days
        self._control_days = control_days

    async def settle(self, items: Sequence[tuple[str, UUID]]) -> int:
        """Settle those rows that really are due, each in its own transaction; how many were."""
        settled = 0
        for kind, row_id in items:
            settled += await self._settle_one(kind, row_id)
        return settled

    async def _settle_one(self, kind: str, row_id: UUID) -> bool:
        async def work(unit: Unit) -> bool:
            now = await unit.now()
            if kind == "otp_challenge":
                return await unit.delete_challenge(row_id, now)
            if kind != "login" or not await unit.expire_login(row_id, now):
                return False
            await unit.audit(Entry(action="login_expired", actor_role="system", login_id=row_id))
            return True

        return await self._store.run(work)

    async def tick(self) -> None:
        """Settle what is due here and delete a bite of what is old."""
        due = await self._store.run(lambda unit: unit.due(_BATCH))
        settled = await self.settle(due)
        pruned = await self._store.run(lambda unit: unit.prune(_BATCH * 5))
        if settled or pruned:
            log.info("tidied", settled=settled, pruned=pruned)

    async def keep_audit(self) -> None:
        """Prepare the audit's coming months and drop those past their time."""
        await self._store.run(
            lambda unit: unit.keep_audit(
                people_days=self._people_days, control_days=self._control_days
            )
        )

    async def audit(
        self, *, before: UUID | None, subject_id: UUID | None, action: str | None, limit: int
    ) -> list[AuditRow]:
        """Return audit rows, newest first."""
        return await self._store.run(
            lambda unit: unit.audit_before(
                before, subject_id=subject_id, action=action, limit=limit
            )
        )
