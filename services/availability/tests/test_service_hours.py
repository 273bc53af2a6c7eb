"""Service hours and the maintenance switch on real servers, with everything there or nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import orjson
import pytest
from services.availability.tests.site import Site, running, site_settings
from tests.support import TestDatabase

from common.db import Unavailable
from common.ids import new_id
from common.testing.bounds import in_time
from common.testing.proxy import Proxy
from common.testing.waiting import eventually

HOURS = "/api/control/availability/service-hours"
SWITCH = "/api/control/availability/maintenance"
BEACON = "/api/customer/availability"
OFFICE = [{"day": day, "opens": "08:00", "closes": "22:00"} for day in range(1, 8)]


@pytest.fixture(params=["site", "alone"])
def anywhere(request: pytest.FixtureRequest) -> Site:
    """A replica, once with Valkey and NATS, once with neither."""
    found: Site = request.getfixturevalue(request.param)
    return found


async def operate(site: Site, method: str, path: str, **body: Any) -> tuple[int, Any]:
    """Call a route as an operator."""
    return await site.call(method, path, role="operator", body=body or None)


async def decide(site: Site, **changes: Any) -> tuple[int, Any]:
    """Write hours over the version of now."""
    _, now = await operate(site, "GET", HOURS)
    wanted = {"version": now["version"], "time_zone": "Asia/Jakarta", "weekly": []}
    return await operate(site, "PUT", HOURS, **{**wanted, "exceptions": [], **changes})


# One whose login every replica of a test has already looked up.
CUSTOMER = {"role": "customer", "user": new_id(), "login": new_id()}


async def beacon(site: Site) -> dict[str, Any]:
    """Look as a customer does."""
    status, body = await site.call("GET", BEACON, **CUSTOMER)
    assert status == 200, body
    return body  # type: ignore[no-any-return]


async def closed_a_while(site: Site, line: Proxy | None = None) -> tuple[datetime, dict[str, Any]]:
    """Close the service, cut this line, and look before it opens: return when, and what was seen.

    Where this machine was too busy for that, once more for longer.
    """
    for seconds in (2, 5, 15, 40):
        opens_at = datetime.now(UTC) + timedelta(seconds=seconds)
        await operate(site, "PUT", SWITCH, on=True, until=opens_at.isoformat())
        if line is not None:
            line.refuse()
        dark = await beacon(site)
        if datetime.now(UTC) < opens_at:
            return opens_at, dark
        if line is not None:
            line.heal()
    raise AssertionError("nobody could look in time")


@pytest.mark.req("AV-16")
async def test_in_the_beginning_it_is_open(anywhere: Site) -> None:
    """Whoever never decided anything has a service that never closes."""
    status, body = await operate(anywhere, "GET", HOURS)
    assert status == 200
    assert (body["version"], body["what"], body["changed_by"]) == (1, "start", None)
    assert (body["time_zone"], body["weekly"], body["exceptions"]) == ("Asia/Jakarta", [], [])
    assert body["maintenance"] == {"on": False, "note": None, "until": None}
    assert body["now"]["is_open"]
    assert (await beacon(anywhere))["state"] == "none_online"


@pytest.mark.req("AV-11", "AV-16")
async def test_the_switch_hides_the_service_and_changes_nobody(anywhere: Site) -> None:
    """The very next look says disabled; statuses, beats and going online are as before."""
    mitra, other = [await anywhere.world.mitra(online=False) for _ in range(2)]
    await anywhere.mitra("online", mitra)
    before = await anywhere.rows("SELECT * FROM availability.mitra_status ORDER BY mitra_id")
    events = await anywhere.rows("SELECT id FROM availability.outbox")

    status, body = await operate(anywhere, "PUT", SWITCH, on=True, note="new database")
    assert status == 200
    assert body["now"] == {
        "is_open": False,
        "why": "switch",
        "note": "new database",
        "opens_at": None,
        "closes_at": None,
    }
    dark = await beacon(anywhere)
    assert (dark["state"], dark["count"], dark["why"]) == ("disabled", 0, "switch")

    async def counted() -> bool:
        _, summary = await operate(anywhere, "GET", "/api/control/availability/summary")
        return (summary["beacon"]["state"], summary["online"]) == ("disabled", 1)

    # Postgres' counts are kept for a moment when it answers for the mirror.
    await eventually(counted)
    rows = await anywhere.rows("SELECT * FROM availability.mitra_status ORDER BY mitra_id")
    assert rows == before
    assert await anywhere.rows("SELECT id FROM availability.outbox") == events
    assert (await anywhere.mitra("heartbeat", mitra))[1]["is_online"] is True
    assert (await anywhere.mitra("online", other))[1]["is_online"] is True

    status, body = await operate(anywhere, "PUT", SWITCH, on=False)
    assert (status, body["now"]["is_open"]) == (200, True)

    async def both() -> bool:
        lit = await beacon(anywhere)
        assert (lit["state"], lit["why"], lit["opens_at"]) == ("available", None, None)
        return lit["count"] == 2  # type: ignore[no-any-return]

    await eventually(both)


@pytest.mark.req("AV-16")
async def test_it_opens_by_the_clock(anywhere: Site) -> None:
    """The end of the maintenance comes and nobody does anything."""
    opens_at, dark = await closed_a_while(anywhere)
    assert dark["state"] == "disabled"
    assert datetime.fromisoformat(dark["opens_at"]) == opens_at
    (decided,) = await anywhere.rows(
        "SELECT max(version) AS version FROM availability.service_versions"
    )

    async def lit() -> bool:
        return (await beacon(anywhere))["state"] == "none_online"

    await eventually(lit)
    assert datetime.now(UTC) >= opens_at - timedelta(milliseconds=50)
    _, body = await operate(anywhere, "GET", HOURS)
    assert (body["now"]["is_open"], body["version"]) == (True, decided["version"])
    assert body["maintenance"] == {"on": False, "note": None, "until": None}


@pytest.mark.req("AV-16")
async def test_it_closes_by_its_hours(anywhere: Site) -> None:
    """Today is an exception without hours, as is tomorrow: the first opening after it is told."""
    today = datetime.now(UTC).date()
    weekly = [{"day": day, "opens": "00:00", "closes": "00:00"} for day in range(1, 8)]
    # Two days: by the time that the service is asked, today may be yesterday.
    closed = [{"date": str(today + timedelta(days=days))} for days in (0, 1)]
    status, body = await decide(anywhere, time_zone="UTC", weekly=weekly, exceptions=closed)
    assert (status, body["now"]["why"]) == (200, "hours")
    dark = await beacon(anywhere)
    opens_at = datetime.combine(today + timedelta(days=2), datetime.min.time(), UTC)
    assert (dark["state"], dark["why"]) == ("disabled", "hours")
    assert datetime.fromisoformat(dark["opens_at"]) == opens_at


@pytest.mark.req("AV-16")
async def test_another_replica_follows_within_two_seconds(alone: Site, stage: TestDatabase) -> None:
    """Closing and opening reach who was not asked, without NATS and without Valkey."""
    async with running(site_settings(stage.url("availability")), stage.admin_url) as other:

        async def followed(state: str) -> bool:
            return (await beacon(other))["state"] == state

        async def attempt() -> None:
            await operate(alone, "PUT", SWITCH, on=False)
            await eventually(partial(followed, "none_online"))
            # The closing meets the other's look anywhere; the opening comes right behind one.
            for is_on, state in ((True, "disabled"), (False, "none_online")):
                async with asyncio.timeout(2):
                    await operate(alone, "PUT", SWITCH, on=is_on)
                    await eventually(partial(followed, state))

        await in_time(attempt)


@pytest.mark.req("AV-11", "AV-16")
async def test_all_are_told_of_a_closing_and_an_opening(site: Site) -> None:
    """One message for each, with the reason and the hour; the opening by the clock alone."""
    told = await site.hears("rt.availability.beacon")

    async def closing(opens_at: datetime) -> dict[str, Any] | None:
        """Wait for the one that names this opening; where nobody looked in time, there is none."""
        while datetime.now(UTC) < opens_at:
            for one in map(orjson.loads, told):
                if one["opens_at"] and datetime.fromisoformat(one["opens_at"]) == opens_at:
                    return dict(one)
            await asyncio.sleep(0.02)
        return None

    for seconds in (3, 10, 40):
        opens_at = datetime.now(UTC) + timedelta(seconds=seconds)
        await operate(site, "PUT", SWITCH, on=True, until=opens_at.isoformat())
        if (closed := await closing(opens_at)) is not None:
            break
    assert closed is not None
    assert (closed["state"], closed["why"]) == ("disabled", "switch")
    await eventually(lambda: orjson.loads(told[-1])["state"] == "none_online")
    assert datetime.now(UTC) >= opens_at - timedelta(milliseconds=50)


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"time_zone": "Asia/Atlantis"}, "time_zone_unknown"),
        ({"time_zone": "asia/jakarta"}, "time_zone_unknown"),
        ({"time_zone": "localtime"}, "time_zone_unknown"),
        ({"time_zone": "Factory"}, "time_zone_unknown"),
        ({"time_zone": "UTC+7:30; DROP"}, "invalid_body"),
        ({"weekly": [*OFFICE, {"day": 3, "opens": "21:59", "closes": "23:00"}]}, "hours_overlap"),
        ({"weekly": [{"day": 0, "opens": "08:00", "closes": "09:00"}]}, "invalid_body"),
        ({"weekly": [{"day": 1, "opens": "8:00", "closes": "09:00"}]}, "invalid_body"),
        ({"weekly": [{"day": 1, "opens": "08:00", "closes": "24:00"}]}, "invalid_body"),
        ({"weekly": [{"day": 1, "opens": "08:00"}]}, "invalid_body"),
        ({"exceptions": [{"date": "2026-02-29"}]}, "invalid_body"),
        ({"exceptions": [{"date": "2026-03-01", "opens": "08:00"}]}, "invalid_body"),
        ({"exceptions": [{"date": "2026-03-01"}, {"date": "2026-03-01"}]}, "exceptions_clash"),
        ({"version": 0}, "invalid_body"),
        ({"more": 1}, "invalid_body"),
    ],
)
async def test_hours_that_cannot_be_meant_are_refused(
    alone: Site, changes: dict[str, Any], code: str
) -> None:
    """Each with its own code and a sentence; nothing was written."""
    status, problem = await decide(alone, **changes)
    assert (status, problem["code"]) == (422, code)
    assert len(problem["detail"]) > 10
    _, body = await operate(alone, "GET", HOURS)
    assert body["version"] == 1


@pytest.mark.req("AV-16")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"on": True, "until": "2020-01-01T00:00:00Z"}, "end_unfit"),
        ({"on": True, "until": "9999-12-31T23:59:59Z"}, "end_unfit"),
        ({"on": True, "until": "2026-03-01T08:00:00"}, "invalid_body"),
        ({"on": False, "note": "why not"}, "invalid_body"),
        ({"on": True, "note": ""}, "invalid_body"),
        ({}, "invalid_body"),
    ],
)
async def test_a_switch_that_cannot_be_meant_is_refused(
    alone: Site, body: dict[str, Any], code: str
) -> None:
    """An end in the past or out of sight, a time without a zone, a note on nothing."""
    status, problem = await alone.call("PUT", SWITCH, role="operator", body=body)
    assert (status, problem["code"]) == (422, code)
    assert (await operate(alone, "GET", HOURS))[1]["version"] == 1


@pytest.mark.req("AV-16")
async def test_overlapping_hours_are_named(alone: Site) -> None:
    """The operator sees which opening begins too early, or which date is meant twice."""
    _, problem = await decide(
        alone, weekly=[*OFFICE, {"day": 3, "opens": "21:59", "closes": "23:00"}]
    )
    assert (problem["day"], problem["opens"]) == (3, "21:59")
    _, problem = await decide(alone, exceptions=[{"date": "2026-03-01"}, {"date": "2026-03-01"}])
    assert problem["date"] == "2026-03-01"


@pytest.mark.req("AV-16")
async def test_who_changes_what_has_changed_meanwhile_is_refused(alone: Site) -> None:
    """409 with the version of now; of ten at once one wins, and nothing is lost or doubled."""
    hours = {"time_zone": "UTC", "weekly": OFFICE, "exceptions": []}
    answers = await asyncio.gather(
        *(operate(alone, "PUT", HOURS, version=1, **hours) for _ in range(10))
    )
    assert sorted(status for status, _ in answers) == [200] + [409] * 9
    problem = next(body for status, body in answers if status == 409)
    assert (problem["code"], problem["version"]) == ("config_conflict", 2)

    status, problem = await operate(alone, "PUT", SWITCH, on=True, version=1)
    assert (status, problem["code"], problem["version"]) == (409, "config_conflict", 2)
    # In an emergency nobody has to read first.
    switched = await asyncio.gather(*(operate(alone, "PUT", SWITCH, on=True) for _ in range(3)))
    assert [status for status, _ in switched] == [200] * 3
    _, body = await operate(alone, "GET", HOURS)
    assert (body["version"], body["maintenance"]["on"]) == (5, True)
    assert body["weekly"] == OFFICE


@pytest.mark.req("AV-16")
async def test_who_decided_what_and_when_stays_readable(alone: Site) -> None:
    """Each version with its operator and its time, newest first, page by page."""
    started = datetime.now(UTC) - timedelta(seconds=5)
    operator, colleague = new_id(), new_id()
    body = {"version": 1, "time_zone": "Asia/Makassar", "weekly": OFFICE, "exceptions": []}
    await alone.call("PUT", HOURS, role="operator", user=operator, body=body)
    switch = {"on": True, "note": "fire"}
    await alone.call("PUT", SWITCH, role="operator", user=colleague, body=switch)
    await alone.call("PUT", SWITCH, role="operator", user=operator, body={"on": False})

    seen, cursor = [], ""
    while cursor is not None:
        _, page = await operate(alone, "GET", f"{HOURS}/versions?limit=3{cursor}")
        seen += page["items"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert [(one["version"], one["what"], one["changed_by"]) for one in seen] == [
        (4, "maintenance", str(operator)),
        (3, "maintenance", str(colleague)),
        (2, "hours", str(operator)),
        (1, "start", None),
    ]
    assert [one["maintenance"]["note"] for one in seen] == [None, "fire", None, None]
    assert [one["time_zone"] for one in seen] == ["Asia/Makassar"] * 3 + ["Asia/Jakarta"]
    for one in seen[:3]:
        assert (
            started
            < datetime.fromisoformat(one["changed_at"])
            < datetime.now(UTC) + timedelta(seconds=5)
        )


@pytest.mark.req("AV-16", "OP-09")
async def test_only_operators_decide(alone: Site) -> None:
    """Neither a mitra nor a customer reads or turns the switch."""
    for role in ("mitra", "customer"):
        for method, path in (("GET", HOURS), ("PUT", HOURS), ("PUT", SWITCH)):
            status, problem = await alone.call(method, path, role=role, body={"on": True})
            assert (status, problem["code"]) == (403, "forbidden")


@contextlib.asynccontextmanager
async def behind_a_line(stage: TestDatabase, **servers: str) -> AsyncIterator[tuple[Site, Proxy]]:
    """Run a replica whose way to Postgres can be cut."""
    url = urlsplit(stage.url("availability"))
    async with Proxy(url.port or 0) as line:
        cut = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{line.port}"))
        settings = site_settings(urlunsplit(cut), **servers)
        async with running(settings, stage.admin_url) as site:
            yield site, line


@pytest.mark.req("AV-07", "AV-11", "AV-16")
@pytest.mark.parametrize("with_valkey", [True, False])
async def test_a_closed_service_stays_closed_without_postgres(
    stage: TestDatabase, valkey_url: str, nats_url: str, *, with_valkey: bool
) -> None:
    """Postgres away, Valkey there or not: disabled until the hour comes, and open after it."""
    servers = {"valkey_url": valkey_url, "nats_url": nats_url} if with_valkey else {}
    async with behind_a_line(stage, **servers) as (site, line):
        mitra = await site.world.mitra(online=False)
        await site.mitra("online", mitra)
        assert (await beacon(site))["state"] != "disabled"
        # Her app goes on: a mirror that hears nobody would not be believed.
        async with beating(site, mitra) if with_valkey else contextlib.nullcontext():
            opens_at, dark = await closed_a_while(site, line)
            assert (dark["state"], dark["why"]) == ("disabled", "switch")

            async def not_closed() -> bool:
                status, body = await site.call("GET", BEACON, **CUSTOMER)
                if with_valkey:
                    return (status, body.get("state")) == (200, "available")
                # Nobody can count: what was known for ten seconds, then "come back later".
                return status == 503 or body["state"] != "disabled"

            await eventually(not_closed)
            assert datetime.now(UTC) >= opens_at - timedelta(milliseconds=50)
            status, _ = await operate(site, "PUT", SWITCH, on=True)
            assert status == 503, "nothing is decided without Postgres"
        line.heal()


@contextlib.asynccontextmanager
async def beating(site: Site, mitra: UUID) -> AsyncIterator[None]:
    """Beat every half second; Valkey takes it."""

    async def beat() -> None:
        while True:
            await site.kit.beats.beat(mitra)
            await asyncio.sleep(0.5)

    heart = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        heart.cancel()
        with contextlib.suppress(asyncio.CancelledError, Unavailable):
            await heart
