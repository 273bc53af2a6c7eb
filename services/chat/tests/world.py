"""A small real world for tests: mitras, customers, and chat's handlers on real Postgres."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

import asyncpg
from services.chat.tests.fakes import FakeAlarm, FakeBeats, FakeProvider, FakeRealtime
from tests.support import TestDatabase

from chat.app import limits_of
from chat.domain.facts import Story
from chat.domain.messages import Draft
from chat.domain.payments import Payment, Verdict
from chat.domain.values import Limits
from chat.handlers.control import Control
from chat.handlers.deadlines import Deadlines
from chat.handlers.extensions import Extensions
from chat.handlers.messages import Messages
from chat.handlers.mitras import Attendance, Mitras
from chat.handlers.payments import Payments
from chat.handlers.rerouting import Rerouting
from chat.handlers.sessions import Sessions
from chat.handlers.showing import Names, Shows
from chat.handlers.telling import Teller
from chat.settings import Settings
from chat.store import PgStore
from common import testing
from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.outbox import Outbox
from common.runner import Runner

TIER = "chat-15"


_KEPT = ("schema_migrations", "tiers", "limits")


async def empty(database: TestDatabase) -> None:
    """Remove every row that a test may have left; what migrations wrote stays."""
    async with database.admin() as admin:
        tables = await testing.tables_of(admin, "chat", "pairing", keep=_KEPT)
        await testing.empty(admin, *tables, "auth.mitras", "auth.logins")


def settings_for(**changes: Any) -> Settings:
    """Settings with the usual deadlines, so that only what the test moves on is due."""
    given = {"payment_server_key": "server-key", **changes}
    return Settings(_env_file=None, **given)


@dataclass
class World:
    """Everything a test of the handlers needs."""

    database: TestDatabase
    db: Database
    limits: Limits
    store: PgStore
    admin: asyncpg.Connection
    provider: FakeProvider
    realtime: FakeRealtime
    alarm: FakeAlarm
    beats: FakeBeats
    sessions: Sessions
    messages: Messages
    extensions: Extensions
    payments: Payments
    deadlines: Deadlines
    mitras: Mitras
    attendance: Attendance
    control: Control
    shows: Shows
    phones: int = field(default=0)

    @classmethod
    async def make(
        cls, database: TestDatabase, runner: Runner, *, bus: Bus, **changes: Any
    ) -> Self:
        """Connect to the database as chat does."""
        limits = limits_of(settings_for(**changes))
        clock = SystemClock()
        db = await Database.connect(database.url("chat"), name="test", max_size=14)
        runner.on_stop(db.close)
        outbox = Outbox(service="chat", db=db, bus=bus, runner=runner, clock=clock)
        store = PgStore(db=db, outbox=outbox, clock=clock)
        await store.save_limits(limits, default_capacity=3)
        provider, realtime, alarm = FakeProvider(), FakeRealtime(), FakeAlarm()
        beats = FakeBeats()
        shows = Shows(names=Names(store, clock=clock), limits=limits)
        teller = Teller(store=store, shows=shows, realtime=realtime, alarm=alarm)
        rerouting = Rerouting(store=store, limits=limits)
        return cls(
            database=database,
            db=db,
            limits=limits,
            store=store,
            admin=await asyncpg.connect(database.admin_url),
            provider=provider,
            realtime=realtime,
            alarm=alarm,
            beats=beats,
            sessions=Sessions(store=store, shows=shows, teller=teller, limits=limits),
            messages=Messages(
                store=store, realtime=realtime, teller=teller, background=runner, limits=limits
            ),
            extensions=Extensions(store=store, teller=teller, limits=limits),
            payments=Payments(store=store, provider=provider, teller=teller, limits=limits),
            deadlines=Deadlines(store=store, rerouting=rerouting, teller=teller, limits=limits),
            mitras=Mitras(store=store, rerouting=rerouting, teller=teller, limits=limits),
            attendance=Attendance(store=store, beats=beats, limits=limits),
            control=Control(store=store, shows=shows, teller=teller, limits=limits),
            shows=shows,
        )

    async def close(self) -> None:
        """Close what is the test's own."""
        await self.admin.close()

    # --- people ----------------------------------------------------------------------------

    async def mitra(self, *, capacity: int = 3) -> UUID:
        """Make an active mitra."""
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
        return mitra_id

    async def deactivate(self, mitra_id: UUID) -> None:
        """Switch a mitra off, as auth would."""
        await self.admin.execute(
            "UPDATE auth.mitras SET is_active = false, deactivated_at = now(),"
            " deactivated_reason = 'test', version = version + 1 WHERE mitra_id = $1",
            mitra_id,
        )

    # --- sessions --------------------------------------------------------------------------

    async def request(self, mitra_id: UUID, *, tier: str = TIER) -> tuple[UUID, UUID, Any]:
        """Make a matched request in pairing; return it, its customer and its tier."""
        request_id, customer_id = new_id(), new_id()
        found = await self.admin.fetchrow("SELECT * FROM chat.tier_v1($1)", tier)
        await self.admin.execute(
            "INSERT INTO pairing.requests (id, customer_id, state, tier_id, tier_version,"
            " duration_seconds, price_idr, topic, sensitivity, wait, wait_until, mitra_id,"
            " settled_at) VALUES ($1, $2, 'matched', $3, $4, $5, $6, 'sleepless', 'normal',"
            " interval '2 minutes', now() + interval '2 minutes', $7, now())",
            request_id,
            customer_id,
            found["tier_id"],
            found["version"],
            found["duration_seconds"],
            found["price_idr"],
            mitra_id,
        )
        return request_id, customer_id, found

    async def open(
        self, mitra_id: UUID, request_id: UUID, customer_id: UUID, tier: Any
    ) -> asyncpg.Record:
        """Open a session as pairing would, in a transaction of pairing's role."""
        async with self.database.connect("pairing") as connection:
            row = await connection.fetchrow(
                "SELECT * FROM chat.open_session_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                request_id,
                customer_id,
                mitra_id,
                tier["tier_id"],
                tier["version"],
                tier["duration_seconds"],
                tier["price_idr"],
                "sleepless",
                "normal",
            )
            assert row is not None
            return row

    async def pending(self, mitra_id: UUID | None = None) -> Story:
        """Make a session that waits for its payment."""
        mitra = mitra_id or await self.mitra()
        request_id, customer_id, tier = await self.request(mitra)
        opened = await self.open(mitra, request_id, customer_id, tier)
        assert opened["outcome"] == "opened"
        return await self.story(opened["session_id"])

    async def active(self, mitra_id: UUID | None = None, *, replied: bool = False) -> Story:
        """Make a paid session; with `replied` the mitra has said something."""
        story = await self.pending(mitra_id)
        await self.pay(story)
        if replied:
            await self.say(story, story.session.mitra_id, "halo")
        return await self.story(story.session.id)

    async def expired(self) -> Story:
        """Make a session whose paid time is over."""
        story = await self.active(replied=True)
        await self.let_pass(story.session.id, "ends_at")
        await self.deadlines.settle_due()
        return await self.story(story.session.id)

    async def closing(self) -> Story:
        """Make a session in its goodbye phase."""
        story = await self.active(replied=True)
        await self.sessions.end(story.session.id, story.session.customer_id)
        return await self.story(story.session.id)

    async def story(self, session_id: UUID) -> Story:
        """Read a session as it stands in its row."""
        story = await self.store.read_story(session_id)
        assert story is not None
        return story

    async def state(self, session_id: UUID) -> str:
        """Return the state in the row."""
        return (await self.story(session_id)).session.state

    # --- what people and providers do ------------------------------------------------------

    async def pay(self, story: Story, extension_id: UUID | None = None) -> Payment:
        """Start a payment and let the provider say that it arrived."""
        view = await self.payments.start(story.session.id, story.session.customer_id, extension_id)
        await self.word(view.order_id, "paid")
        return await self.payment(view.order_id)

    async def word(self, order_id: str, verdict: Verdict, **given: str) -> None:
        """Let the provider say something."""
        await self.payments.hear(
            self.provider.word(order_id, verdict, **given), source="notification"
        )

    async def payment(self, order_id: str) -> Payment:
        """Read a payment."""
        payment = await self.store.find_payment(order_id)
        assert payment is not None
        return payment

    async def say(self, story: Story, user_id: UUID, text: str) -> int:
        """Send a message; return its seq."""
        sent = await self.messages.send(Draft(story.session.id, user_id, new_id(), text))
        return sent.seq

    async def let_pass(self, session_id: UUID, *deadlines: str) -> None:
        """Move deadlines of a session into the past, with what must stand before them."""
        for deadline in deadlines:
            await self.admin.execute(
                f"UPDATE chat.sessions SET {deadline} = clock_timestamp() - interval '1 ms'"
                " WHERE id = $1",
                session_id,
            )

    async def let_extension_pass(self, extension_id: UUID, deadline: str) -> None:
        """Move a deadline of an extension into the past."""
        await self.admin.execute(
            f"UPDATE chat.extensions SET {deadline} = clock_timestamp() - interval '1 ms'"
            " WHERE id = $1",
            extension_id,
        )

    async def events(self, session_id: UUID) -> list[str]:
        """Return the nouns of what chat told of a session, in order."""
        rows = await self.admin.fetch(
            "SELECT subject FROM chat.outbox WHERE body->>'session_id' = $1::text"
            " ORDER BY position",
            str(session_id),
        )
        return [row["subject"].split(".")[2] for row in rows]

    async def load(self, mitra_id: UUID) -> tuple[int, int]:
        """Return slots held and the version."""
        row = await self.admin.fetchrow(
            "SELECT * FROM chat.mitra_load_v1(ARRAY[$1::uuid])", mitra_id
        )
        return row["load"], row["version"]

    async def ledger(self, payment: Payment) -> int:
        """Return the sum booked for a payment."""
        return int(
            await self.admin.fetchval(
                "SELECT coalesce(sum(amount_idr), 0) FROM chat.ledger WHERE payment_id = $1",
                payment.id,
            )
        )


async def all_of(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run calls side by side; errors are results."""
    return await asyncio.gather(*calls, return_exceptions=True)


def minutes(count: float) -> timedelta:
    """Return so many minutes."""
    return timedelta(minutes=count)
