"""A small real world for tests: mitras, customers, and pairing's stores on real Postgres."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import asyncpg
from tests.support import TestDatabase

from common import testing
from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.outbox import Outbox
from common.runner import Runner
from pairing import store
from pairing.domain import Blast, PairingRequest, Wish
from pairing.settings import Settings

TIER = "chat-15"


_KEPT = ("schema_migrations", "tiers", "limits")


async def empty(database: TestDatabase) -> None:
    """Remove every row that a test may have left; what migrations wrote stays."""
    async with database.admin() as admin:
        # A statement of whoever was stopped may still be under way.
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE"
            " datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        tables = await testing.tables_of(admin, "chat", "pairing", keep=_KEPT)
        await testing.empty(
            admin,
            *tables,
            "auth.mitras",
            "auth.logins",
            "availability.mitra_status",
            "availability.online_intervals",
        )
        await admin.execute("DELETE FROM availability.service_versions WHERE what <> 'start'")


def settings_for(**changes: Any) -> Settings:
    """Settings with long deadlines, so that only what the test moves on is due."""
    return Settings(_env_file=None, **changes)


@dataclass
class World:
    """Everything a test of the store needs."""

    database: TestDatabase
    db: Database
    settings: Settings
    requests: store.Requests
    offers: store.Offers
    rings: store.Rings
    admin: asyncpg.Connection
    phones: int = field(default=0)

    @classmethod
    async def make(
        cls, database: TestDatabase, runner: Runner, *, bus: Bus, **changes: Any
    ) -> Self:
        """Connect to the database as pairing does."""
        settings = settings_for(**changes)
        db = await Database.connect(database.url("pairing"), name="test", max_size=12)
        outbox = Outbox(service="pairing", db=db, bus=bus, runner=runner, clock=SystemClock())
        runner.on_stop(db.close)
        return cls(
            database=database,
            db=db,
            settings=settings,
            requests=store.Requests(db=db, outbox=outbox),
            offers=store.Offers(db=db, outbox=outbox),
            rings=store.Rings(db=db, outbox=outbox, settings=settings),
            admin=await asyncpg.connect(database.admin_url),
        )

    async def close(self) -> None:
        """Close what is the test's own."""
        await self.admin.close()

    async def mitra(self, *, capacity: int = 3, online: bool = True) -> UUID:
        """Make an active mitra, online with a fresh heartbeat."""
        mitra_id = new_id()
        self.phones += 1
        await self.admin.execute(
            "INSERT INTO auth.mitras (mitra_id, phone, display_name, created_at, created_by)"
            " VALUES ($1, $2, $3, now(), $1)",
            mitra_id,
            f"+6281{self.phones:09d}",
            f"Mitra {self.phones}",
        )
        await self.admin.execute(
            "INSERT INTO chat.mitra_load (mitra_id, capacity, capacity_from)"
            " VALUES ($1, $2, 'operator')",
            mitra_id,
            capacity,
        )
        await self.admin.execute(
            "INSERT INTO availability.mitra_status"
            " (mitra_id, is_online, went_online_at, last_heartbeat_at)"
            " VALUES ($1, $2, clock_timestamp(), clock_timestamp())",
            mitra_id,
            online,
        )
        return mitra_id

    async def mitras(self, count: int, *, capacity: int = 3) -> list[UUID]:
        """Make several mitras."""
        return [await self.mitra(capacity=capacity) for _ in range(count)]

    async def deactivate(self, mitra_id: UUID) -> None:
        """Switch a mitra off, as auth would."""
        await self.admin.execute(
            "UPDATE auth.mitras SET is_active = false, deactivated_at = now(),"
            " deactivated_reason = 'test', version = version + 1 WHERE mitra_id = $1",
            mitra_id,
        )

    async def go_offline(self, mitra_id: UUID) -> None:
        """Take a mitra offline, as availability would."""
        await self.admin.execute(
            "UPDATE availability.mitra_status SET is_online = false, offline_reason = 'self',"
            " version = version + 1 WHERE mitra_id = $1",
            mitra_id,
        )

    async def request(
        self, *, customer_id: UUID | None = None, wait_seconds: float = 120
    ) -> PairingRequest:
        """Open a request of a fresh customer."""
        tier = await self.requests.offered_tier(TIER)
        assert tier is not None
        wish = Wish(customer_id or new_id(), tier.tier_id, "sleepless", "normal")
        request = await self.requests.open_request(
            wish, tier=tier, wait_seconds=wait_seconds, key=None
        )
        assert request is not None
        return request

    async def blast(self, request: PairingRequest, mitras: Sequence[UUID]) -> Blast:
        """Send a ring to these mitras."""
        search = await self.rings.search(request.id)
        assert search is not None
        blast = await self.rings.place(search, mitras)
        assert blast is not None
        return blast

    async def offered(self, *mitras: UUID, **options: Any) -> tuple[PairingRequest, Blast]:
        """Open a request and offer it to these mitras."""
        request = await self.request(**options)
        return request, await self.blast(request, mitras)

    async def close_service(self, opens_at: datetime | None = None) -> None:
        """Turn the maintenance switch on, as an operator would."""
        await self._switch(on=True, until=opens_at)

    async def close_by_hours(self) -> None:
        """Set hours that neither today nor tomorrow has any of."""
        await self.admin.execute(
            "INSERT INTO availability.service_versions (version, time_zone, weekly, exceptions,"
            " maintenance_on, maintenance_until, what, changed_by)"
            " SELECT max(version) + 1, 'UTC', jsonb_build_array(jsonb_build_object('day',"
            " extract(isodow FROM now() AT TIME ZONE 'UTC' + interval '3 days')::int,"
            " 'opens', '08:00', 'closes', '09:00')), '[]', false, NULL, 'hours', $1"
            " FROM availability.service_versions",
            new_id(),
        )

    async def open_service(self) -> None:
        """Turn the maintenance switch off."""
        await self._switch(on=False, until=None)

    async def _switch(self, *, on: bool, until: datetime | None) -> None:
        await self.admin.execute(
            "INSERT INTO availability.service_versions (version, time_zone, weekly, exceptions,"
            " maintenance_on, maintenance_until, what, changed_by)"
            " SELECT max(version) + 1, 'UTC', '[]', '[]', $1, $2, 'maintenance', $3"
            " FROM availability.service_versions",
            on,
            until,
            new_id(),
        )

    async def let_wait_pass(self, *request_ids: UUID) -> None:
        """Move the end of the wait into the past."""
        await self.admin.execute(
            "UPDATE pairing.requests SET wait_until = clock_timestamp() - interval '1 ms'"
            " WHERE id = ANY ($1)",
            list(request_ids),
        )

    async def let_ring_pass(self, *request_ids: UUID) -> None:
        """Make the next ring due."""
        await self.admin.execute(
            "UPDATE pairing.requests SET next_ring_at = clock_timestamp() WHERE id = ANY ($1)",
            list(request_ids),
        )

    async def let_offers_pass(self, *request_ids: UUID) -> None:
        """Move the end of the open offers' life into the past."""
        await self.admin.execute(
            "UPDATE pairing.offers SET expires_at = clock_timestamp() - interval '1 ms'"
            " WHERE request_id = ANY ($1) AND state = 'open'",
            list(request_ids),
        )

    async def offer_states(self, request_id: UUID) -> list[str]:
        """Return the states of a request's offers, sorted."""
        rows = await self.admin.fetch(
            "SELECT state FROM pairing.offers WHERE request_id = $1 ORDER BY state", request_id
        )
        return [row["state"] for row in rows]

    async def events(self, subject: str) -> list[str]:
        """Return the bodies that pairing told on a subject."""
        rows = await self.admin.fetch(
            "SELECT body::text AS body FROM pairing.outbox WHERE subject = $1 ORDER BY position",
            subject,
        )
        return [row["body"] for row in rows]

    async def load(self, mitra_id: UUID) -> int:
        """Count the slots a mitra's sessions hold."""
        count = await self.admin.fetchval(
            "SELECT count(*) FROM chat.sessions WHERE mitra_id = $1 AND slot IS NOT NULL", mitra_id
        )
        return int(count)


async def all_of(*calls: Any) -> list[Any]:
    """Run calls side by side; errors are results."""
    return await asyncio.gather(*calls, return_exceptions=True)
