"""What mitras, customers and operators get, with everything there and with almost nothing there."""

import asyncio
from datetime import UTC, datetime

import pytest
from services.availability.tests.site import Site, running, site_settings
from tests import deaf
from tests.support import TestDatabase

from common.ids import new_id
from common.testing.bounds import in_time
from common.testing.waiting import eventually
from mirror.testing import World


@pytest.fixture(params=["site", "alone"])
def anywhere(request: pytest.FixtureRequest) -> Site:
    """A replica, once with Valkey and NATS, once with neither."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.mark.req("AV-01", "AV-05", "AV-07")
async def test_a_mitra_goes_online_beats_and_goes_offline(anywhere: Site) -> None:
    """The whole round works with Valkey and NATS, and just as well without."""
    mitra = await anywhere.world.mitra(online=False)
    status, body = await anywhere.mitra("online", mitra)
    assert (status, body["is_online"], body["available"]) == (200, True, True)
    assert body["reasons"] == []
    status, body = await anywhere.mitra("heartbeat", mitra)
    assert (status, body["is_online"], body["next_beat_seconds"]) == (200, True, 20)

    async def lit() -> bool:
        status, beacon = await anywhere.call("GET", "/api/customer/availability", role="customer")
        return (status, beacon["state"], beacon["count"]) == (200, "available", 1)

    await eventually(lit)
    status, body = await anywhere.mitra("offline", mitra)
    assert (status, body["is_online"], body["reasons"]) == (200, False, ["offline"])
    assert (await anywhere.mitra("heartbeat", mitra))[1]["is_online"] is False

    events = await anywhere.rows("SELECT subject, body FROM availability.outbox ORDER BY position")
    assert [event["subject"] for event in events] == [
        "evt.availability.mitra_online.v1",
        "evt.availability.mitra_offline.v1",
    ]
    assert '"self"' in events[1]["body"]
    intervals = await anywhere.rows("SELECT end_reason FROM availability.online_intervals")
    assert intervals == [{"end_reason": "self"}]


@pytest.mark.req("AV-02", "AV-12")
async def test_a_status_comes_from_the_mirror(site: Site) -> None:
    """Her status names her load, and not who answered: that is for operators."""
    mitra = await site.world.mitra(load=3, online=False)
    await site.mitra("online", mitra)
    status, body = await site.call("GET", "/api/mitra/status", user=mitra)

    assert status == 200
    assert "source" not in body
    assert (body["reachable"], body["available"]) == (True, False)
    assert (body["load"], body["capacity"], body["reasons"]) == (3, 3, ["full"])
    path = f"/api/control/availability/mitras/{mitra}"
    assert (await site.call("GET", path, role="operator"))[1]["source"] == "mirror"
    age = datetime.now(UTC) - datetime.fromisoformat(body["last_heartbeat_at"])
    assert 0 <= age.total_seconds() < 30


@pytest.mark.req("AV-03")
async def test_a_deactivated_mitra_gets_a_403(anywhere: Site) -> None:
    """Neither a beat nor going online works for her; going offline does."""
    mitra = await anywhere.world.mitra(active=False)
    await anywhere.reseed() if anywhere.bus.up else None
    for verb in ("heartbeat", "online"):
        status, problem = await anywhere.mitra(verb, mitra)
        assert (status, problem["code"]) == (403, "mitra_inactive")
    assert (await anywhere.mitra("offline", mitra))[0] == 200


async def test_whom_auth_does_not_know_cannot_go_online(anywhere: Site) -> None:
    """A token for nobody makes no row."""
    status, problem = await anywhere.mitra("online", new_id())
    assert (status, problem["code"]) == (404, "mitra_unknown")
    assert await anywhere.rows("SELECT mitra_id FROM availability.mitra_status") == []


@pytest.mark.req("OP-09")
async def test_roles_are_kept_apart(anywhere: Site) -> None:
    """A customer is no mitra, a mitra no operator, and without a token nobody is anybody."""
    for method, path, role in (
        ("POST", "/api/mitra/status/online", "customer"),
        ("GET", "/api/control/availability/summary", "mitra"),
        ("GET", "/api/customer/availability", "operator"),
    ):
        status, problem = await anywhere.call(method, path, role=role)
        assert (status, problem["code"]) == (403, "forbidden")
    async with anywhere.client.get("/api/mitra/status") as response:
        assert response.status == 401


async def test_going_online_twice_changes_nothing_but_the_beat(anywhere: Site) -> None:
    """A repeated call is one interval, one event, one version."""
    mitra = await anywhere.world.mitra(online=False)
    await asyncio.gather(*(anywhere.mitra("online", mitra) for _ in range(5)))
    assert len(await anywhere.rows("SELECT 1 FROM availability.outbox")) == 1
    assert len(await anywhere.rows("SELECT 1 FROM availability.online_intervals")) == 1
    assert await anywhere.rows("SELECT version FROM availability.mitra_status") == [{"version": 2}]


@pytest.mark.req("CC-02", "AV-14")
async def test_operators_see_and_end_it(anywhere: Site) -> None:
    """The list, the numbers, and a mitra forced offline with its reason."""
    mitra = await anywhere.world.mitra(online=False)
    await anywhere.mitra("online", mitra)
    status, page = await anywhere.call(
        "GET", "/api/control/availability/mitras?online=true", role="operator"
    )
    assert status == 200
    assert [(row["mitra_id"], row["available"]) for row in page["items"]] == [(str(mitra), True)]
    status, body = await anywhere.call(
        "POST", f"/api/control/availability/mitras/{mitra}/force-offline", role="operator"
    )
    assert (status, body["is_online"], body["source"]) == (200, False, "postgres")

    async def counted() -> bool:
        _, numbers = await anywhere.call(
            "GET", "/api/control/availability/summary", role="operator"
        )
        return (numbers["online"], numbers["busy"]) == (0, 0)

    await eventually(counted)
    intervals = await anywhere.rows("SELECT end_reason FROM availability.online_intervals")
    assert intervals == [{"end_reason": "operator"}]
    status, _ = await anywhere.call(
        "POST", f"/api/control/availability/mitras/{new_id()}/force-offline", role="operator"
    )
    assert status == 404


async def test_the_list_goes_in_pages(anywhere: Site) -> None:
    """Each mitra once, page by page."""
    mitras = [str(await anywhere.world.mitra()) for _ in range(5)]
    path, seen = "/api/control/availability/mitras?limit=2", []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await anywhere.call("GET", path + cursor, role="operator")
        seen += [row["mitra_id"] for row in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == sorted(mitras)


@pytest.mark.req("AV-08", "AV-09")
async def test_an_emptied_valkey_is_seeded_again_and_nobody_is_ever_gone(site: Site) -> None:
    """FLUSHALL under a running replica: right answers throughout, a mirror within 3 s."""
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra)
    wrong: list[object] = []

    async def mirrored() -> bool:
        # The mirror itself first: the replica may show numbers of a moment ago.
        present = await site.kit.presence.counts()
        _, beacon = await site.call("GET", "/api/customer/availability", role="customer")
        if beacon["state"] != "available":
            wrong.append(beacon)
        _, numbers = await site.call("GET", "/api/control/availability/summary", role="operator")
        return (present.source, numbers["source"]) == ("mirror", "mirror")

    async def attempt() -> None:
        await site.raw.flushall()
        async with asyncio.timeout(3):
            await eventually(mirrored)

    await in_time(attempt)
    assert wrong == []


@pytest.mark.req("AV-07", "OP-06")
async def test_operators_see_why_postgres_answers(stage: TestDatabase, valkey_url: str) -> None:
    """Valkey is up only while it is a mirror; else its state and the reason stand there."""
    async with stage.admin() as admin:
        mitra = await World(admin).mitra()
    await deaf.seed_deaf(stage, valkey_url, mitra)
    settings = site_settings(stage.url("availability"), valkey_url=valkey_url)
    async with running(settings, stage.admin_url) as site:
        assert await deaf.seen(site.client) == {"up": False, "detail": deaf.SAYS}
        await site.mitra("heartbeat", mitra)

        async def up() -> bool:
            return await deaf.seen(site.client) == {"up": True, "detail": None}

        await eventually(up)


async def test_operators_see_why_valkey_is_away(alone: Site) -> None:
    """Of a server that is not there, too, the reason is named in words."""
    away = await deaf.seen(alone.client)

    assert away["up"] is False
    assert away["detail"].startswith("away: ConnectionRefusedError: ")


@pytest.mark.req("AV-01", "AV-09")
async def test_what_valkey_did_not_take_is_owed(site: Site) -> None:
    """A change made past the mirror (a crash after the commit) is there within seconds."""
    mitra = await site.world.mitra(online=False)
    await site.kit.seeder.heal([mitra])
    await site.world.online(mitra)

    async def there() -> bool:
        return (await site.kit.mirror.is_reachable([mitra]))[mitra].available

    await eventually(there)


@pytest.mark.req("AV-11")
async def test_the_beacon_is_told_when_it_changes(site: Site) -> None:
    """From none_online to available to none_online again: each told once, promptly."""
    told = await site.hears("rt.availability.beacon")
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra)
    await eventually(lambda: told and b'"available"' in told[-1])
    await site.mitra("offline", mitra)
    await eventually(lambda: b'"none_online"' in told[-1])
    assert len(told) <= 3
