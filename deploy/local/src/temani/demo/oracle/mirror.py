"""I3: the mirror equals the truth once nobody acts."""

import asyncio
import time

from common.clock import SystemClock
from common.db import Database, Unavailable
from common.runner import Runner
from mirror.errors import MirrorUnavailable
from mirror.kit import open_mirror
from mirror.outcomes import Drift
from mirror.values import Limits

SETTLE_SECONDS = 10.0


async def equal(admin_dsn: str, valkey_url: str, *, settle: float = SETTLE_SECONDS) -> list[str]:
    """Find differences that are still there after `settle` seconds."""
    runner = Runner()
    db = await Database.connect(admin_dsn, name="oracle", min_size=1, max_size=2)
    try:
        kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
        deadline = time.monotonic() + settle
        while True:
            try:
                found = [_text(one) for one in await kit.seeder.diff()]
            except (MirrorUnavailable, Unavailable) as away:
                found = [f"the mirror cannot be compared: {away}"]
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.3)
    finally:
        await runner.stop()
        await db.close()


def _text(drift: Drift) -> str:
    return (
        f"mitra {drift.mitra_id}: {drift.fact} is {drift.mirror} in the mirror, "
        f"{drift.postgres} in Postgres"
    )
