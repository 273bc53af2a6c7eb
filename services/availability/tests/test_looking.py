"""Many look at their status at once while Valkey is away: few of them are with Postgres."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from services.availability.tests.site import Site, running, site_settings, token
from tests import patience
from tests.support import TestDatabase

from common import baseline
from common.testing.waiting import eventually
from mirror import fallback
from mirror.fallback import places

MITRAS = 30
# As services have it: whoever cannot get through hears so soon.
PATIENCE = fallback._PATIENCE
_LONG = 300.0
# Postgres gives nobody up while the test holds it.
_STEADY = "lock_timeout=300s&statement_timeout=300s&transaction_timeout=300s"


@pytest.fixture
async def replica(stage: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A replica without Valkey, whose own time-outs never help it."""
    patience.stretch(monkeypatch, *patience.POSTGRES, seconds=_LONG)
    settings = site_settings(f"{stage.url('availability')}?{_STEADY}")
    async with running(settings, stage.admin_url) as site:
        yield site


async def look(site: Site, mitra: UUID) -> tuple[int, str | None]:
    """Read her status; return the status of the call and when she may come back."""
    headers = {"Authorization": f"Bearer {token('mitra', user=mitra)}"}
    async with site.client.get("/api/mitra/status", headers=headers) as answer:
        return answer.status, answer.headers.get("Retry-After")


@pytest.mark.req("AV-07", "AV-12")
async def test_looking_does_not_take_postgres_down(
    replica: Site, stage: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres hangs: a few questions wait with it, all others are told to come back."""
    mitras = [await replica.world.mitra() for _ in range(MITRAS)]
    through = places(baseline.PG_MAX_SIZE)
    monkeypatch.setattr(fallback, "_PATIENCE", PATIENCE)
    async with stage.admin() as locker, locker.transaction():
        await locker.execute("LOCK TABLE availability.mitra_status")
        looks = [asyncio.ensure_future(look(replica, mitra)) for mitra in mitras]
        await eventually(lambda: sum(one.done() for one in looks) >= MITRAS - through, timeout=60)
        refused = [one.result() for one in looks if one.done()]
        assert set(refused) == {(503, "1")}
    answered = await asyncio.gather(*looks)

    assert set(answered) <= {(503, "1"), (200, None)}
    assert await look(replica, mitras[0]) == (200, None)


@pytest.mark.req("AV-07")
@pytest.mark.parametrize("role", ["mitra", "operator"])
async def test_a_status_from_postgres_is_counted(alone: Site, role: str) -> None:
    """Operators see by the metric that Postgres answers this question, too."""
    mitra = await alone.world.mitra(load=1)
    before = counted()
    path = "/api/mitra/status" if role == "mitra" else f"/api/control/availability/mitras/{mitra}"
    status, body = await alone.call("GET", path, role=role, user=mitra)

    assert (status, body["is_online"], body["available"], body["load"]) == (200, True, True, 1)
    assert counted() == before + 1


def counted() -> float:
    """Return how often Postgres answered for a status."""
    return REGISTRY.get_sample_value("mirror_fallbacks_total", {"question": "status"}) or 0.0
