"""What each part of availability does while Valkey is killed, frozen or empty, and right after.

One test per line of docs/reference/failure-semantics.md, each with a real Valkey of its own.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel
from services.availability.tests.outages import KINDS, Outage, raw
from services.availability.tests.site import Site, running, site_settings
from tests.support import TestDatabase

from availability.settings import Settings
from common.testing.waiting import eventually
from mirror import MirrorUnavailable
from temani.servers import Valkey

T = TypeVar("T")

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("hasty")]

# Nobody waits longer than this for an answer, whatever Valkey does: a frozen one stays silent for
# as long as the test lasts, and this is more than a busy machine needs.
PATIENCE_SECONDS = 10.0
_LOOK_EVERY = 0.05


@pytest.fixture(scope="session")
async def breakable(scratch: Path) -> AsyncIterator[Valkey]:
    """A Valkey that only these tests use."""
    server = Valkey(scratch / "valkey-breakable", cluster=False)
    await server.start()
    yield server
    if server.running:
        server.thaw()
    await server.stop()


@pytest.fixture(params=KINDS)
async def outage(
    request: pytest.FixtureRequest, breakable: Valkey, stage: TestDatabase
) -> AsyncIterator[Outage]:
    """Each way to be no mirror, over a Valkey that runs and is empty."""
    yield Outage(request.param, breakable, stage.admin_url)
    if not breakable.running:
        await breakable.start()
    breakable.thaw()
    async with raw(breakable) as client:
        await client.flushall()


@pytest.fixture
def settings(stage: TestDatabase, breakable: Valkey, nats_url: str) -> Settings:
    """Settings of a replica over the breakable Valkey."""
    return site_settings(stage.url("availability"), valkey_url=breakable.url, nats_url=nats_url)


@pytest.fixture
async def replica(settings: Settings, stage: TestDatabase, outage: Outage) -> AsyncIterator[Site]:
    """A replica that started while all was well."""
    async with running(settings, stage.admin_url) as site:
        yield site


async def online(site: Site, **facts: Any) -> UUID:
    """Make a mitra and let her go online."""
    mitra = await site.world.mitra(online=False, **facts)
    assert (await site.mitra("online", mitra))[0] == 200
    return mitra


async def source(site: Site) -> str:
    """Return who answers the operators' numbers now."""
    status, numbers = await soon(
        site.call("GET", "/api/control/availability/summary", role="operator")
    )
    assert status == 200
    return str(numbers["source"])


async def until_mirrored(site: Site) -> None:
    """Wait until the mirror answers again."""

    async def mirrored() -> bool:
        # The replica may show numbers of 0.25 s ago: the mirror itself is asked, too.
        now = await site.kit.presence.counts()
        return (now.source, await source(site)) == ("mirror", "mirror")

    await eventually(mirrored)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a mirror that is well; again, where this machine was too busy to answer in time."""

    async def answered() -> list[T]:
        try:
            return [await ask()]
        except MirrorUnavailable:
            return []

    (answer,) = await eventually(answered)
    return answer


async def soon(call: Awaitable[tuple[int, Any]]) -> tuple[int, Any]:
    """Return the answer; fail when it took longer than anybody should wait."""
    started = time.monotonic()
    answer = await call
    assert time.monotonic() - started < PATIENCE_SECONDS
    return answer


def counted(name: str, **labels: str) -> float:
    """Return the sum of a metric over all labels that are not given."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def read_everything(site: Site, free: UUID, full: UUID, gone: UUID) -> set[str]:
    """Ask every read there is, and compare with what is true; return who answered."""
    beacon, mine, busy, off, seen, roster, numbers = await asyncio.gather(
        soon(site.call("GET", "/api/customer/availability", role="customer")),
        *(soon(site.call("GET", "/api/mitra/status", user=one)) for one in (free, full, gone)),
        soon(site.call("GET", f"/api/control/availability/mitras/{free}", role="operator")),
        soon(site.call("GET", "/api/control/availability/mitras", role="operator")),
        soon(site.call("GET", "/api/control/availability/summary", role="operator")),
    )
    assert {answer[0] for answer in (beacon, mine, busy, off, seen, roster, numbers)} == {200}
    assert (beacon[1]["state"], beacon[1]["count"]) == ("available", 1)
    assert (mine[1]["reasons"], busy[1]["reasons"]) == ([], ["full"])
    assert off[1]["reasons"] == ["offline"]
    assert {
        row["mitra_id"]: (row["reachable"], row["available"]) for row in roster[1]["items"]
    } == {
        str(free): (True, True),
        str(full): (True, False),
        str(gone): (False, False),
    }
    assert [numbers[1][key] for key in ("online", "reachable", "available", "busy")] == [2, 2, 1, 1]
    return {numbers[1]["source"], seen[1]["source"]}


async def until_answered_by(site: Site, whom: set[str], free: UUID, full: UUID, gone: UUID) -> None:
    """Ask until these answer; each answer on the way has to be right, too."""
    deadline = time.monotonic() + 20
    while await read_everything(site, free, full, gone) != whom:
        assert time.monotonic() < deadline, f"not answered by {whom}"
        # No faster than one mitra may ask.
        await asyncio.sleep(_LOOK_EVERY)


@pytest.mark.req("AV-06", "AV-07", "AV-08", "AV-12")
async def test_reads_fall_back(replica: Site, outage: Outage) -> None:
    """Every read is right and prompt before, during and after; operators see who answered."""
    free, full = await online(replica), await online(replica, load=3)
    gone = await replica.world.mitra(online=False)
    await patiently(lambda: replica.kit.seeder.heal([gone]))
    await until_answered_by(replica, {"mirror"}, free, full, gone)
    before = counted("mirror_fallbacks_total")

    await outage.strike()
    await until_answered_by(replica, {"postgres"}, free, full, gone)
    for _ in range(10):
        assert await read_everything(replica, free, full, gone) == {"postgres"}
        await asyncio.sleep(_LOOK_EVERY)
    assert counted("mirror_fallbacks_total") > before

    async def told() -> bool:
        status = await (await replica.client.get("/statusz")).json()
        return status["dependencies"]["valkey"]["up"] is False

    await eventually(told)
    await outage.end()
    await until_answered_by(replica, {"mirror"}, free, full, gone)


@pytest.mark.req("AV-01", "AV-03", "AV-09")
async def test_writes_are_best_effort_and_owed(replica: Site, outage: Outage) -> None:
    """Nobody's change fails or is forgotten, no deactivated mitra slips in, beats are kept."""
    stays, leaves, forced = [await online(replica) for _ in range(3)]
    comes = await replica.world.mitra(online=False)
    barred = await online(replica)
    await replica.admin.execute(
        "UPDATE availability.mitra_status"
        " SET last_heartbeat_at = clock_timestamp() - interval '30 s' WHERE mitra_id = $1",
        stays,
    )

    await outage.strike()
    await replica.world.active(barred, active=False)
    force = f"/api/control/availability/mitras/{forced}/force-offline"
    assert (await soon(replica.mitra("offline", leaves)))[1]["is_online"] is False
    assert (await soon(replica.mitra("online", comes)))[1]["available"] is True
    assert (await soon(replica.call("POST", force, role="operator")))[1]["is_online"] is False
    assert (await soon(replica.mitra("heartbeat", stays)))[1]["is_online"] is True
    assert (await soon(replica.mitra("heartbeat", leaves)))[1]["is_online"] is False
    assert (await soon(replica.mitra("heartbeat", barred)))[0] == 403
    assert await replica.world.beaten_ago(stays) < 25

    await outage.end()
    await until_mirrored(replica)

    await eventually(partial(_as_in_postgres, replica))
    mitras = [stays, leaves, forced, comes, barred]
    where = await patiently(lambda: replica.kit.mirror.is_reachable(mitras))
    assert [where[one].available for one in (stays, leaves, forced, comes, barred)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    status = await patiently(lambda: replica.kit.mirror.status(stays))
    assert status is not None
    assert (status.beat_age_ms or 0) < 25_000, "the beat of the outage outlived it"


async def _as_in_postgres(site: Site) -> bool:
    return await patiently(site.kit.seeder.diff) == []


class MarkOffline(BaseModel):
    """The sweeper's command."""

    items: list[dict[str, object]]
    reason: str = "auto_offline"
    fence: int = 1


@pytest.mark.req("SW-01")
async def test_a_sweep_takes_nobody_offline_unseen(replica: Site, outage: Outage) -> None:
    """Struck between the sweep's look and its command: whom nobody can see stays."""
    quiet = await replica.world.mitra(beat_age=200)
    # Somebody beats: where nobody does, the mirror counts as deaf.
    mitras = [quiet, await replica.world.mitra()]
    await patiently(lambda: replica.kit.seeder.heal(mitras))
    (seen,) = (await patiently(replica.kit.mirror.stale)).mitras
    command = MarkOffline(
        items=[
            {
                "mitra_id": str(seen.mitra_id),
                "status_version": seen.status_version,
                "seen_at_ms": seen.seen_at_ms,
            }
        ]
    )

    async def swept() -> dict[str, int]:
        subject = "cmd.availability.mark_offline.v1"
        answer: dict[str, int] = orjson.loads(
            await replica.bus.request(subject, command, timeout=10)
        )
        return answer

    await outage.strike()
    assert await swept() == {"offline": 0, "refused": 1}
    rows = await replica.rows("SELECT is_online FROM availability.mitra_status")
    assert rows == [{"is_online": True}] * 2

    await outage.end()
    await until_mirrored(replica)

    async def gone() -> bool:
        return await swept() == {"offline": 1, "refused": 0}

    # Seen again, she is taken offline.
    await eventually(gone)


@pytest.mark.req("AV-09")
async def test_a_replica_starts_all_the_same(
    settings: Settings,
    stage: TestDatabase,
    breakable: Valkey,
    outage: Outage,
    calm: Callable[[], None],
) -> None:
    """Struck before the start: it listens within seconds, answers rightly, and seeds when it can.

    With a Valkey that can be seeded, the very first answer is the mirror's.
    """
    async with running(settings, stage.admin_url) as before:
        mitra = await online(before)
        await outage.strike()
    started = time.monotonic()
    async with running(settings, stage.admin_url) as site:
        assert time.monotonic() - started < PATIENCE_SECONDS
        beacon = await soon(site.call("GET", "/api/customer/availability", role="customer"))
        assert (beacon[1]["state"], beacon[1]["count"]) == ("available", 1)
        assert await source(site) == "postgres"
        assert (await soon(site.mitra("heartbeat", mitra)))[1]["is_online"] is True
        await outage.end()
        await until_mirrored(site)

    async with raw(breakable) as client:
        await client.flushall()
    calm()
    before_start = counted("mirror_reseeds_total", reason="start")
    async with running(settings, stage.admin_url) as site:
        assert counted("mirror_reseeds_total", reason="start") == before_start + 1
        assert await source(site) == "mirror", "restore, reseed, only then listen"


@pytest.mark.req("AV-08", "AV-09", "SW-03")
async def test_one_reseed_serves_all_and_erases_nothing_newer(
    replica: Site,
    settings: Settings,
    stage: TestDatabase,
    outage: Outage,
    calm: Callable[[], None],
) -> None:
    """Two replicas, one outage: at most two rebuilds in all, and what changed meanwhile stays."""
    async with running(settings, stage.admin_url) as other:
        mitras = [await online(replica) for _ in range(5)]
        await until_mirrored(other)
        before = counted("mirror_reseeds_total")
        await outage.strike()
        await replica.mitra("offline", mitras[0])
        await other.mitra("heartbeat", mitras[1])
        # Both have met the outage; a moment in which this machine is too busy is none.
        await asyncio.gather(source(replica), source(other))
        calm()
        await outage.end()
        back = asyncio.gather(until_mirrored(replica), until_mirrored(other))
        # While they reseed, more changes come by both.
        await asyncio.gather(other.mitra("offline", mitras[2]), replica.mitra("offline", mitras[3]))
        await back

        await eventually(partial(_as_in_postgres, replica))
        assert counted("mirror_reseeds_total") - before <= 2
        held = await patiently(lambda: replica.kit.mirror.last_beats(mitras))
        assert set(held) == {mitras[1], mitras[4]}
