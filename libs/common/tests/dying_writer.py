"""Writes events until a failpoint kills it, for test_failpoints."""

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from common.bus import Bus, Event
from common.clock import SystemClock
from common.db import Database, Unavailable
from common.ids import new_id
from common.outbox import Outbox
from common.runner import Runner


class NumberWritten(Event):
    """An event that no other test tells."""

    subject: ClassVar[str] = "evt.auth.number_written.v1"
    number_id: UUID


async def write() -> None:
    """Append one event a transaction, for ever."""
    runner = Runner()
    db = await Database.connect(os.environ["DATABASE_URL"], name="dying")
    bus = await Bus.connect(os.environ["NATS_URL"], name="dying", runner=runner)
    outbox = Outbox(service="auth", db=db, bus=bus, runner=runner, clock=SystemClock())
    while True:
        # A busy machine shall not end it: only the failpoint does.
        with contextlib.suppress(Unavailable):
            async with db.transaction() as tx:
                await outbox.append(tx, NumberWritten(number_id=new_id(), at=datetime.now(UTC)))


asyncio.run(write())
