"""The brake of auto-offline at the operators' routes: seen, confirmed once, never in the way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from services.availability.tests.site import Site, running, site_settings
from structlog.testing import capture_logs
from tests.support import Databases

from availability.domain.brake import Brake
from availability.errors import BrakeChanged, NoBrake
from availability.handlers import Brakes
from common.db import Unavailable
from common.ids import new_id
from common.testing.waiting import eventually
from mirror.testing import World

pytestmark = pytest.mark.req("SW-01")

PATH = "/api/control/availability/brake"
SUMMARY = "/api/control/availability/summary"
OPERATOR = UUID(int=9)
STOPPED = Brake(
    brake_id=UUID(int=1),
    mitra_ids=(UUID(int=2), UUID(int=3)),
    online=20,
    fresh=4,
    needs_operator=True,
    since=datetime(2026, 1, 31, tzinfo=UTC),
    confirmed_at=None,
    confirmed_by=None,
)


class FakeBrakes:
    """One stopped pass, or none; away when told."""

    def __init__(self) -> None:
        self.stopped: Brake | None = STOPPED
        self.away = False

    async def now(self) -> Brake | None:
        """Return it."""
        if self.away:
            raise Unavailable
        return self.stopped

    async def confirm(self, brake_id: UUID, *, by: UUID) -> int:
        """Confirm it, if it is the one."""
        if self.stopped is None:
            raise NoBrake
        if brake_id != self.stopped.brake_id:
            raise BrakeChanged
        self.stopped = replace(self.stopped, confirmed_by=str(by))
        return len(self.stopped.mitra_ids)


async def test_who_cannot_be_asked_shows_no_brake() -> None:
    """The look of each second never fails, and keeps nothing that may be over."""
    store = FakeBrakes()
    brakes = Brakes(store)
    before = brakes.seen()
    await brakes.look()
    seen = brakes.seen()
    store.away = True
    await brakes.look()

    assert before is None
    assert seen == STOPPED
    assert brakes.seen() is None


async def test_a_confirmation_is_shown_at_once_and_logged() -> None:
    """With the operator's id; what was not confirmed is not logged."""
    brakes = Brakes(FakeBrakes())
    with capture_logs() as lines:
        with pytest.raises(BrakeChanged):
            await brakes.confirm(new_id(), operator_id=OPERATOR)
        mitras = await brakes.confirm(STOPPED.brake_id, operator_id=OPERATOR)

    assert mitras == 2
    seen = brakes.seen()
    assert seen is not None
    assert seen.confirmed_by == str(OPERATOR)
    assert [(line["event"], line["operator_id"], line["mitras"]) for line in lines] == [
        ("brake_confirmed", OPERATOR, 2)
    ]


# --- the routes, over what the sweeper really publishes ----------------------------------------


@pytest.fixture
async def beside(databases: Databases) -> AsyncIterator[Site]:
    """A replica beside the sweeper's real schema, with neither NATS nor Valkey."""
    database = await databases.fresh("availability", "sweeper")
    async with database.admin() as admin:
        await World.create(admin)
    async with running(site_settings(database.url("availability")), database.admin_url) as one:
        yield one
    await databases.drop(database)


async def stop(site: Site, *mitras: UUID) -> UUID:
    """Stop a pass as the sweeper does; return the brake's id."""
    brake_id: UUID = await site.admin.fetchval(
        "INSERT INTO sweeper.brakes (sweep, mitra_ids, online, fresh, valid_seconds)"
        " VALUES ('auto_offline', $1, 20, 4, 3600) RETURNING brake_id",
        list(mitras),
    )
    return brake_id


async def asked(site: Site, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Call a route as the operator."""
    return await site.call(method, path, role="operator", user=OPERATOR, body=body)


async def shown(site: Site, brake_id: UUID | None) -> dict[str, Any] | None:
    """Wait until the dashboard's numbers carry this brake, or none."""
    wanted = None if brake_id is None else str(brake_id)
    found: dict[str, Any] = {}

    async def there() -> bool:
        status, found["summary"] = await asked(site, "GET", SUMMARY)
        assert status == 200
        brake = found["summary"]["brake"]
        return (brake and brake["brake_id"]) == wanted

    await eventually(there)
    brake: dict[str, Any] | None = found["summary"]["brake"]
    return brake


async def test_the_dashboard_carries_the_brake(beside: Site) -> None:
    """How many of how many would go, since when; it goes as it came, without a second poll."""
    assert await shown(beside, None) is None
    brake_id = await stop(beside, UUID(int=2), UUID(int=3))
    brake = await shown(beside, brake_id)
    status, page = await asked(beside, "GET", PATH)

    assert brake is not None
    assert (brake["mitras"], brake["online"], brake["fresh"]) == (2, 20, 4)
    assert brake["needs_operator"] is True
    assert brake["since"]
    assert (brake["confirmed_at"], brake["confirmed_by"]) == (None, None)
    assert (status, page["brake"]) == (200, brake)
    assert page["mitra_ids"] == [str(UUID(int=2)), str(UUID(int=3))]
    await beside.admin.execute("DELETE FROM sweeper.brakes")
    assert await shown(beside, None) is None
    assert await asked(beside, "GET", PATH) == (200, {"brake": None, "mitra_ids": []})


async def test_an_operator_confirms_the_brake_she_saw(beside: Site) -> None:
    """By the id of her token, once however often; the row says so for the next pass."""
    body = {"brake_id": str(await stop(beside, UUID(int=2)))}
    answers = [await asked(beside, "POST", f"{PATH}/confirm", body) for _ in range(2)]
    rows = await beside.rows("SELECT confirmed_by, confirmed_at FROM sweeper.brakes")

    assert answers == [(200, {**body, "mitras": 1})] * 2
    assert rows[0]["confirmed_by"] == str(OPERATOR)
    assert rows[0]["confirmed_at"] is not None
    _, page = await asked(beside, "GET", PATH)
    assert page["brake"]["needs_operator"] is False


async def test_what_cannot_be_confirmed_is_a_clear_refusal(beside: Site) -> None:
    """Nothing waits, another pass was stopped, a slip of the pen: each with its code."""
    body = {"brake_id": str(new_id())}
    nothing = await asked(beside, "POST", f"{PATH}/confirm", body)
    await stop(beside, UUID(int=2))
    another = await asked(beside, "POST", f"{PATH}/confirm", body)
    slip = await asked(beside, "POST", f"{PATH}/confirm", {"brake_id": "the last one"})
    rows = await beside.rows("SELECT confirmed_by FROM sweeper.brakes")

    assert (nothing[0], nothing[1]["code"]) == (404, "no_brake")
    assert (another[0], another[1]["code"]) == (409, "brake_changed")
    assert slip[0] == 422
    assert rows == [{"confirmed_by": None}]


@pytest.mark.parametrize("role", ["mitra", "customer"])
async def test_nobody_else_sees_or_confirms_it(beside: Site, role: str) -> None:
    """Operators only."""
    body = {"brake_id": str(await stop(beside, UUID(int=2)))}
    answers = [
        await beside.call("GET", PATH, role=role),
        await beside.call("POST", f"{PATH}/confirm", role=role, body=body),
    ]

    assert [(status, problem["code"]) for status, problem in answers] == [(403, "forbidden")] * 2


@pytest.mark.req("OP-04")
async def test_before_the_sweeper_publishes_it_the_dashboard_works(alone: Site) -> None:
    """Availability may be deployed before the sweeper: numbers without a brake, and a plain 503."""
    status, summary = await asked(alone, "GET", SUMMARY)
    found = [
        await asked(alone, "GET", PATH),
        await asked(alone, "POST", f"{PATH}/confirm", {"brake_id": str(new_id())}),
    ]

    assert (status, summary["brake"]) == (200, None)
    assert [(code, problem["code"]) for code, problem in found] == [(503, "unavailable")] * 2
