"""Statuses. Whoever acts on a mitra locks her row first, then reads the directory."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from availability.domain import Change, OfflineReason, Patience, Stale, Status
from availability.errors import FencePassed, InGrace, MitraInactive, MitraUnknown
from availability.events import MitraOffline, MitraOnline
from availability.store.ages import age_of
from availability.store.queries import QUERIES
from common.clock import Clock
from common.db import Database, Transaction
from common.inbox import first_time
from common.outbox import Outbox


class Statuses:
    """The truth: who is online, since when, and when she last beat."""

    def __init__(self, db: Database, *, outbox: Outbox, clock: Clock, patience: Patience) -> None:
        self._db = db
        self._outbox = outbox
        self._clock = clock
        self._patience = patience

    async def welcome(self, mitra_id: UUID) -> None:
        """Make a row for a new mitra, offline."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["welcome"], mitra_id)

    async def go_online(self, mitra_id: UUID, *, login_id: UUID) -> Status:
        """Set her online and tell it; raises MitraInactive, MitraUnknown."""

        async def work(tx: Transaction) -> Status:
            # The directory decides before a row is made for someone it does not know …
            await self._refuse_unless_active(tx, mitra_id)
            await tx.execute(QUERIES["welcome"], mitra_id)
            await tx.fetchrow(QUERIES["lock"], mitra_id)
            # … and again under the lock: a deactivation that came first is seen now.
            await self._refuse_unless_active(tx, mitra_id)
            changed = await tx.fetchrow(QUERIES["set_online"], mitra_id, login_id)
            if changed is None:
                await tx.execute(QUERIES["stay_online"], mitra_id, login_id)
            else:
                await tx.execute(QUERIES["open_interval"], mitra_id, changed["went_online_at"])
                await self._outbox.append(
                    tx,
                    MitraOnline(
                        mitra_id=mitra_id, version=changed["version"], at=changed["went_online_at"]
                    ),
                )
            return await self._status(tx, mitra_id)

        return await self._db.run(work)

    async def go_offline(self, mitra_id: UUID, *, reason: OfflineReason) -> Change | None:
        """Set her offline and tell it; None for a mitra who was never here."""

        async def work(tx: Transaction) -> Change | None:
            row = await tx.fetchrow(QUERIES["lock"], mitra_id)
            return None if row is None else await self._end(tx, row, reason)

        return await self._db.run(work)

    async def leave(self, mitra_id: UUID, *, login_id: UUID, event_id: UUID) -> Change | None:
        """Set her offline if this login, which has ended, is the one she is online by.

        Whenever that was: no login lives again. Once an event.
        """

        async def work(tx: Transaction) -> Change | None:
            if not await first_time(tx, consumer="availability_auth", event_id=event_id):
                return None
            row = await tx.fetchrow(QUERIES["lock"], mitra_id)
            if row is None or row["online_login_id"] != login_id:
                return None
            # A deactivation ends her logins, too, and that news may come first.
            was_deactivated = await self._is_active(tx, mitra_id) is False
            return await self._end(tx, row, "deactivated" if was_deactivated else "logout")

        return await self._db.run(work)

    async def settle_deactivated(self, mitra_id: UUID) -> Change | None:
        """Set her offline if she is deactivated now; None when she is not or was never here."""

        async def work(tx: Transaction) -> Change | None:
            row = await tx.fetchrow(QUERIES["lock"], mitra_id)
            if row is None or await self._is_active(tx, mitra_id):
                return None
            return await self._end(tx, row, "deactivated")

        return await self._db.run(work)

    async def mark_stale_offline(self, items: Sequence[Stale], *, fence: int) -> list[Change]:
        """Set offline whoever is still as the sweep saw her, by Postgres' copy of her beat, too.

        Raises FencePassed when a later holder of the sweep's lease has spoken already, InGrace
        while not everybody had time to be heard.
        """
        mitras = [item.mitra_id for item in items]
        versions = [item.status_version for item in items]

        async def work(tx: Transaction) -> list[Change]:
            if await tx.fetchval(QUERIES["note_fence"], "mark_offline", fence) is None:
                raise FencePassed
            patience = self._patience
            if not await tx.fetchval(QUERIES["was_served"], patience.grace, patience.gap):
                raise InGrace
            rows = await tx.fetch(QUERIES["lock_stale"], mitras, versions, patience.auto_offline)
            return await self._end_all(tx, rows, "auto_offline")

        return await self._db.run(work)

    async def status(self, mitra_id: UUID) -> Status:
        """Return what Postgres knows of her; raises MitraUnknown."""
        return await self._db.run(lambda tx: self._status(tx, mitra_id))

    async def due(self, limit: int) -> list[UUID]:
        """Return mitras who are online although deactivated, as far as this look finds them."""
        async with self._db.connection() as connection:
            return [row["id"] for row in await connection.fetch(QUERIES["due"], limit)]

    # --- inside a transaction ----------------------------------------------------------------

    async def _end(self, tx: Transaction, row: asyncpg.Record, reason: OfflineReason) -> Change:
        """Set one mitra, whose row is locked, offline."""
        if changes := await self._end_all(tx, [row] if row["is_online"] else [], reason):
            return changes[0]
        return Change(row["mitra_id"], row["version"], changed=False)

    async def _end_all(
        self, tx: Transaction, rows: Sequence[asyncpg.Record], reason: OfflineReason
    ) -> list[Change]:
        if not rows:
            return []
        changed = await tx.fetch(
            QUERIES["set_offline"],
            [row["mitra_id"] for row in rows],
            [row["version"] for row in rows],
            reason,
        )
        await tx.execute(QUERIES["close_intervals"], [row["mitra_id"] for row in changed], reason)
        now = self._clock.now()
        await self._outbox.append(
            tx,
            *(
                MitraOffline(
                    mitra_id=row["mitra_id"], version=row["version"], reason=reason, at=now
                )
                for row in changed
            ),
        )
        return [Change(row["mitra_id"], row["version"], changed=True) for row in changed]

    async def _refuse_unless_active(self, tx: Transaction, mitra_id: UUID) -> None:
        known = await self._is_active(tx, mitra_id)
        if known is None:
            raise MitraUnknown
        if not known:
            raise MitraInactive

    async def _is_active(self, tx: Transaction, mitra_id: UUID) -> bool | None:
        row = await tx.fetchrow(QUERIES["directory"], [mitra_id])
        return None if row is None else row["is_active"]

    async def _status(self, tx: Transaction, mitra_id: UUID) -> Status:
        row = await tx.fetchrow(QUERIES["status"], mitra_id)
        if row is not None:
            return Status(
                mitra_id=mitra_id,
                is_online=row["is_online"],
                is_active=row["is_active"],
                beat_age=age_of(row["beat_age_seconds"]),
                load=row["load"],
                capacity=row["capacity"],
                source="postgres",
            )
        row = await tx.fetchrow(QUERIES["status_of_unseen"], mitra_id)
        if row is None:
            raise MitraUnknown
        return Status(
            mitra_id=mitra_id,
            is_online=False,
            is_active=row["is_active"],
            beat_age=None,
            load=row["load"],
            capacity=row["capacity"],
            source="postgres",
        )
