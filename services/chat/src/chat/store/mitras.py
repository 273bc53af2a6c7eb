"""Mitras, tiers and operators' acts inside a transaction."""

from typing import Literal
from uuid import UUID

import orjson

from chat import events
from chat.domain.values import Capacity, TierVersion
from chat.store import rows
from chat.store.part import Part
from chat.store.queries import QUERIES


class MitraPart(Part):
    """What may be done to load rows, tiers and the record of operators' acts."""

    async def is_active_mitra(self, mitra_id: UUID) -> bool:
        """Ask the directory, in a statement after the load was locked."""
        return bool(await self._tx.fetchval(QUERIES["is_active_mitra"], mitra_id))

    async def is_known_mitra(self, mitra_id: UUID) -> bool:
        """Say whether the directory has her, active or not."""
        return bool(await self._tx.fetchval(QUERIES["is_known_mitra"], mitra_id))

    async def living_sessions(self, mitra_id: UUID) -> list[UUID]:
        """Return her sessions that have not ended, whoever is opening one just now included."""
        # The row first: where there is none, an opening session and we would not meet.
        await self._tx.execute(QUERIES["add_usual_load"], mitra_id)
        await self._tx.fetchrow(QUERIES["hold_load"], mitra_id)
        found = await self._tx.fetch(QUERIES["living_sessions"], mitra_id)
        return [row["id"] for row in found]

    async def set_capacity(
        self, mitra_id: UUID, capacity: int, origin: Literal["auth", "operator"]
    ) -> Capacity:
        """Set how many sessions she may hold; auth's word never overrides an operator's."""
        await self._tx.execute(QUERIES["add_load"], mitra_id, capacity, "default")
        held = await self._tx.fetchrow(QUERIES["hold_load"], mitra_id)
        assert held is not None
        decided = origin == "auth" and held["capacity_from"] != "default"
        if not decided and (held["capacity"], held["capacity_from"]) != (capacity, origin):
            version = await self._tx.fetchval(QUERIES["set_capacity"], mitra_id, capacity, origin)
            event = events.CapacityChanged(
                mitra_id=mitra_id, capacity=capacity, version=version, at=self._clock.now()
            )
            await self._outbox.append(self._tx, event)
        row = await self._tx.fetchrow(QUERIES["load_of"], mitra_id)
        assert row is not None
        return Capacity(mitra_id, row["capacity"], row["load"], row["version"])

    async def note_act(self, operator_id: UUID, act: str, subject: str, detail: object) -> None:
        """Write the audit row of what an operator does."""
        text = orjson.dumps(detail).decode()
        await self._tx.execute(QUERIES["note_act"], operator_id, act, subject, text)

    async def add_tier(
        self,
        tier_id: str,
        *,
        name: str,
        duration_seconds: int,
        price_idr: int,
        is_offered: bool,
        created_by: UUID,
    ) -> TierVersion:
        """Write a new version of a tier; one writer at a time."""
        await self._tx.execute(QUERIES["lock_tier"], tier_id)
        row = await self._tx.fetchrow(
            QUERIES["add_tier"],
            tier_id,
            name,
            duration_seconds,
            price_idr,
            is_offered,
            created_by,
        )
        assert row is not None
        return rows.tier_version_of(row)
