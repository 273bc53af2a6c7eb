"""Why no requests, as a mitra and as an operator read it; and what the dashboard says of itself."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from services.availability.tests.site import Site
from services.availability.tests.test_service import anywhere

from availability.handlers import histograms
from common.ids import new_id
from common.testing.waiting import eventually

__all__ = ["anywhere"]  # a fixture

HERS = "/api/mitra/status"
THEIRS = "/api/control/availability/mitras"


async def facts(site: Site, mitra: UUID) -> dict[str, Any]:
    """Ask as she would; the facts by their names."""
    status, body = await site.call("GET", HERS, user=mitra)
    assert status == 200, body
    assert [fact["fact"] for fact in body["facts"]] == [
        "online",
        "active",
        "fresh",
        "load",
        "service",
    ]
    return {fact["fact"]: fact for fact in body["facts"]}


async def inspected(site: Site, mitra: UUID) -> dict[str, Any]:
    """Ask as an operator would."""
    status, body = await site.call("GET", f"{THEIRS}/{mitra}", role="operator")
    assert status == 200, body
    return dict(body)


async def watched(site: Site, mitra: UUID, state: str) -> dict[str, Any]:
    """Ask until the look of each second has seen that the mirror is in this state."""

    async def seen() -> dict[str, Any] | None:
        body = await inspected(site, mitra)
        return body if body["mirror"]["state"] == state else None

    found = await eventually(seen)
    assert found is not None
    return found


def age(moment: str) -> float:
    """Return how many seconds ago that was."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


@pytest.mark.req("AV-13")
async def test_each_fact_says_since_when(anywhere: Site) -> None:
    """With Valkey and without: the same facts, each as old as it is."""
    mitra = await anywhere.world.mitra(online=False)
    await anywhere.admin.execute(
        "UPDATE auth.people SET changed_at = clock_timestamp() - interval '1 hour';"
        "UPDATE chat.loads SET changed_at = clock_timestamp() - interval '2 minutes'"
    )
    await anywhere.mitra("online", mitra)
    found = await facts(anywhere, mitra)

    assert [fact["ok"] for fact in found.values()] == [True] * 5
    assert [fact["advice"] for fact in found.values()] == [None] * 5
    assert 0 <= found["online"]["age_seconds"] < 60
    assert 3600 <= found["active"]["age_seconds"] < 3660
    assert 120 <= found["load"]["age_seconds"] < 180
    assert (found["load"]["load"], found["load"]["capacity"]) == (0, 3)
    assert (found["fresh"]["since"], found["fresh"]["age_seconds"]) == (None, None)
    assert 0 <= found["fresh"]["heartbeat_age_seconds"] < 60
    assert found["fresh"]["limit_seconds"] == 45


@pytest.mark.req("AV-13")
async def test_each_hindrance_says_what_helps(anywhere: Site) -> None:
    """Offline by herself, by an operator, full, switched off: the reason, its age, the advice."""
    mitra = await anywhere.world.mitra(online=False)
    never = (await facts(anywhere, mitra))["online"]
    assert (never["ok"], never["reason"], never["since"]) == (False, None, None)
    assert "Go online" in never["advice"]

    await anywhere.mitra("online", mitra)
    await anywhere.call("POST", f"{THEIRS}/{mitra}/force-offline", role="operator")
    forced = await facts(anywhere, mitra)
    assert forced["online"]["reason"] == "operator"
    assert "operator" in forced["online"]["advice"]
    assert 0 <= forced["online"]["age_seconds"] < 60
    assert forced["fresh"]["ok"] is None

    await anywhere.mitra("online", mitra)
    await anywhere.world.load(mitra, 3)
    await _settled(anywhere, mitra)
    full = (await facts(anywhere, mitra))["load"]
    assert (full["ok"], full["load"]) == (False, 3)
    assert "3 of 3" in full["advice"]
    assert 0 <= full["age_seconds"] < 60


async def _settled(site: Site, mitra: UUID) -> None:
    """Have the mirror, if there is one, follow."""
    if site.bus.up:
        await site.kit.seeder.heal([mitra])


@pytest.mark.req("AV-13")
async def test_a_silent_app_is_stale_since_the_limit(alone: Site) -> None:
    """Her last beat was a minute ago: stale for 15 s, and told so."""
    mitra = await alone.world.mitra(beat_age=60)
    fresh = (await facts(alone, mitra))["fresh"]
    assert fresh["ok"] is False
    assert 15 <= fresh["age_seconds"] < 45
    assert 60 <= fresh["heartbeat_age_seconds"] < 90
    assert "connection" in fresh["advice"]


@pytest.mark.req("AV-13", "AV-16")
async def test_a_closed_service_is_a_reason_and_no_status(anywhere: Site) -> None:
    """In maintenance she stays online, reachable and available; why, without the note."""
    mitra = await anywhere.world.mitra(online=False)
    await anywhere.mitra("online", mitra)
    until = datetime.now(UTC) + timedelta(hours=1)
    path = "/api/control/availability/maintenance"
    switch = {"on": True, "note": "new servers", "until": until.isoformat()}
    assert (await anywhere.call("PUT", path, role="operator", body=switch))[0] == 200

    status, body = await anywhere.call("GET", HERS, user=mitra)
    assert (status, body["reasons"]) == (200, ["service_closed"])
    assert (body["is_online"], body["reachable"], body["available"]) == (True, True, True)
    service = body["facts"][-1]
    assert (service["ok"], service["why"], service["note"]) == (False, "switch", None)
    assert datetime.fromisoformat(service["opens_at"]) == until
    assert 0 <= service["age_seconds"] < 60
    assert (await inspected(anywhere, mitra))["facts"][-1]["note"] == "new servers"

    assert (await anywhere.call("PUT", path, role="operator", body={"on": False}))[0] == 200
    status, body = await anywhere.call("GET", HERS, user=mitra)
    assert (body["reasons"], body["facts"][-1]["ok"]) == ([], True)


@pytest.mark.req("AV-13", "AV-16")
async def test_closed_by_the_hours_since_they_ended(alone: Site) -> None:
    """Closed since the last opening ended, or, when that is later, since it was decided so."""
    now = datetime.now(UTC)
    opening = (now - timedelta(hours=3)).strftime("%H:%M")
    closing = (now - timedelta(hours=2)).strftime("%H:%M")
    weekly = [{"day": day, "opens": opening, "closes": closing} for day in range(1, 8)]
    path = "/api/control/availability/service-hours"
    _, before = await alone.call("GET", path, role="operator")
    body = {"version": before["version"], "time_zone": "UTC", "weekly": weekly, "exceptions": []}
    status, answer = await alone.call("PUT", path, role="operator", body=body)
    assert status == 200, answer
    mitra = await alone.world.mitra()

    decided = (await facts(alone, mitra))["service"]
    assert (decided["ok"], decided["why"]) == (False, "hours")
    assert 0 <= decided["age_seconds"] < 60
    await _decided_long_ago(alone)
    ended = (await facts(alone, mitra))["service"]
    # Hours are kept to the minute; what this test took comes on top.
    assert 2 * 3600 <= ended["age_seconds"] < 2 * 3600 + 120
    assert "opens at" in ended["advice"]


@pytest.mark.req("AV-13", "AV-16")
async def test_closed_since_the_last_opening_however_long_ago(alone: Site) -> None:
    """Closed by exceptions for a fortnight: since the last opening before them, not since ever."""
    now = datetime.now(UTC)
    days = [(now - timedelta(days=ago)).date().isoformat() for ago in range(-2, 14)]
    path = "/api/control/availability/service-hours"
    _, before = await alone.call("GET", path, role="operator")
    body = {
        "version": before["version"],
        "time_zone": "UTC",
        "weekly": [{"day": day, "opens": "08:00", "closes": "09:00"} for day in range(1, 8)],
        "exceptions": [{"date": day} for day in days],
    }
    status, answer = await alone.call("PUT", path, role="operator", body=body)
    assert status == 200, answer
    mitra = await alone.world.mitra()
    for _ in range(3):
        await _decided_long_ago(alone)

    service = (await facts(alone, mitra))["service"]
    closed_at = (now - timedelta(days=14)).replace(hour=9, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(service["since"]) == closed_at


@pytest.mark.req("AV-13", "AV-16")
async def test_a_switch_that_went_off_by_itself_was_off(alone: Site) -> None:
    """Turned on again after its own end, the service is closed since then, not since before."""
    path = "/api/control/availability/maintenance"
    for seconds in (0.5, 2, 10, 40):
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        body = {"on": True, "until": until.isoformat()}
        status, _ = await alone.call("PUT", path, role="operator", body=body)
        if status == 200:
            break  # an end that is over when it arrives is refused
    assert status == 200
    mitra = await alone.world.mitra()
    await eventually_open(alone, mitra)
    await alone.call("PUT", path, role="operator", body={"on": True, "note": "once more"})
    again = datetime.fromisoformat((await facts(alone, mitra))["service"]["since"])
    assert again > until
    await alone.call("PUT", path, role="operator", body={"on": True, "note": "a better note"})
    assert datetime.fromisoformat((await facts(alone, mitra))["service"]["since"]) == again


async def eventually_open(site: Site, mitra: UUID) -> None:
    """Wait until the service is open by the clock."""

    async def is_open() -> bool:
        return bool((await facts(site, mitra))["service"]["ok"])

    await eventually(is_open)


async def _decided_long_ago(site: Site) -> None:
    await site.admin.execute(
        "UPDATE availability.service_versions SET changed_at = changed_at - interval '9 days'"
    )


@pytest.mark.req("AV-13")
async def test_an_operator_sees_both_sides(site: Site) -> None:
    """What Postgres knows, what the mirror holds, that they agree, and who answered."""
    mitra = await site.world.mitra(online=False, load=1)
    await site.mitra("online", mitra)
    body = await watched(site, mitra, "ok")

    assert (body["source"], body["display_name"][:5]) == ("mirror", "Mitra")
    assert body["mirror"]["agrees"] is True
    assert body["mirror"]["differences"] == []
    held = body["mirror"]["holds"]
    assert (held["is_online"], held["is_active"], held["load"], held["is_found"]) == (
        True,
        True,
        1,
        True,
    )
    assert (body["postgres"]["is_online"], body["postgres"]["capacity"]) == (True, 3)
    assert age(body["went_online_at"]) < 60
    assert [fact["ok"] for fact in body["facts"]] == [True] * 5


@pytest.mark.req("AV-13", "AV-15")
async def test_an_operator_sees_where_the_mirror_is_wrong(site: Site) -> None:
    """The mirror decides whether she is found; the disagreement is named with both values."""
    mitra, kept = await site.world.mitra(online=False), await site.world.mitra(online=False)
    await site.mitra("online", mitra)
    await site.mitra("online", kept)
    await site.reconcile_stops()
    await site.raw.zrem("{mitras}:online", str(mitra))
    await site.raw.zrem("{mitras}:available", str(mitra), str(kept))

    body = await inspected(site, mitra)
    assert (body["source"], body["is_online"], body["reasons"]) == ("mirror", False, ["offline"])
    assert body["mirror"]["agrees"] is False
    assert body["mirror"]["differences"][0] == {
        "fact": "online",
        "mirror": "False",
        "postgres": "True",
    }
    assert body["facts"][0]["since"] is None

    body = await inspected(site, kept)
    assert body["mirror"]["differences"] == [
        {"fact": "available", "mirror": "False", "postgres": "True"}
    ]
    assert body["mirror"]["holds"]["is_found"] is False


@pytest.mark.req("AV-13", "AV-07")
async def test_without_valkey_nobody_claims_agreement(alone: Site) -> None:
    """Postgres answers; whether the mirror agrees is unknown, and that it is away is said."""
    mitra = await alone.world.mitra(beat_age=5)
    body = await watched(alone, mitra, "away")
    assert body["source"] == "postgres"
    assert body["mirror"]["agrees"] is None
    assert (body["mirror"]["holds"], body["mirror"]["differences"]) == (None, [])
    assert "Postgres answers" in body["mirror"]["advice"]
    assert (body["is_online"], body["reachable"], body["available"]) == (True, True, True)


@pytest.mark.req("AV-13")
async def test_each_sees_what_is_theirs(anywhere: Site) -> None:
    """A mitra never reads the operators' pages, nor an operator or a customer hers."""
    mitra = await anywhere.world.mitra()
    for path, role in (
        (HERS, "operator"),
        (HERS, "customer"),
        (f"{THEIRS}/{mitra}", "mitra"),
        (f"{THEIRS}/{mitra}", "customer"),
        ("/api/control/availability/drift", "mitra"),
        ("/api/control/availability/drift", "customer"),
        (f"/api/control/availability/reseeds/{mitra}", "mitra"),
    ):
        status, problem = await anywhere.call("GET", path, role=role, user=mitra)
        assert (status, problem["code"]) == (403, "forbidden"), path
    status, _ = await anywhere.call("POST", "/api/control/availability/reseed", user=mitra)
    assert status == 403
    status, body = await anywhere.call("GET", HERS, user=mitra)
    assert status == 200
    assert not {"mirror", "postgres", "display_name"} & set(body)


@pytest.mark.req("AV-13")
async def test_nobody_is_a_404(anywhere: Site) -> None:
    """Whom the directory does not know is not there; who never came is, and is offline."""
    status, problem = await anywhere.call("GET", f"{THEIRS}/{new_id()}", role="operator")
    assert (status, problem["code"]) == (404, "mitra_unknown")
    status, problem = await anywhere.call("GET", HERS, user=new_id())
    assert (status, problem["code"]) == (404, "mitra_unknown")
    unseen = new_id()
    await anywhere.admin.execute("INSERT INTO auth.people VALUES ($1, true, 1)", unseen)
    body = await inspected(anywhere, unseen)
    assert (body["is_online"], body["reasons"]) == (False, ["offline"])
    assert body["mirror"]["agrees"] in (True, None)


@pytest.mark.req("AV-13")
async def test_postgres_away_leaves_the_facts_without_ages(site: Site) -> None:
    """The mirror answers her; what only Postgres knows is null, not wrong."""
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra)
    async with _locked_out(site):
        found = await facts(site, mitra)
    assert [fact["ok"] for fact in found.values()] == [True] * 5
    assert [fact["since"] for fact in found.values()] == [None] * 5


def _locked_out(site: Site) -> Any:
    """Let every question about her status wait until it gives up."""
    database = site.admin

    class Locked:
        async def __aenter__(self) -> None:
            await database.execute("BEGIN")
            await database.execute("LOCK TABLE availability.mitra_status IN ACCESS EXCLUSIVE MODE")

        async def __aexit__(self, *_: object) -> None:
            await database.execute("ROLLBACK")

    return Locked()


@pytest.mark.req("AV-12")
async def test_the_dashboard_says_how_old_it_is_and_who_answered(site: Site) -> None:
    """Numbers from the mirror with their age, the loads with theirs, and the mirror's state."""
    for load in (0, 1, 3):
        mitra = await site.world.mitra(load=load, online=False)
        await site.mitra("online", mitra)

    async def counted() -> bool:
        _, body = await site.call("GET", "/api/control/availability/summary", role="operator")
        return bool(body["loads"] == {"0": 1, "1": 1, "3": 1})

    await eventually(counted)
    _, body = await site.call("GET", "/api/control/availability/summary", role="operator")
    assert (body["online"], body["reachable"], body["available"], body["busy"]) == (3, 3, 2, 1)
    assert (body["source"], body["mirror"]["state"], body["mirror"]["advice"]) == (
        "mirror",
        "ok",
        None,
    )
    assert age(body["as_of"]) < 60
    assert age(body["loads_as_of"]) < 60
    assert body["loads_source"] == "mirror"
    assert age(body["mirror"]["since"]) < 120


@pytest.mark.req("AV-12", "AV-07")
async def test_the_dashboard_says_that_postgres_answers(
    alone: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Valkey numbers and loads are right all the same, and the banner has its words."""
    monkeypatch.setattr(histograms, "_KEEP_SECONDS", 0.0)
    await alone.world.mitra(beat_age=5)
    body: dict[str, Any] = {}

    async def counted() -> bool:
        _, answer = await alone.call("GET", "/api/control/availability/summary", role="operator")
        body.update(answer)
        return bool(body["online"] == 1)

    await eventually(counted)
    assert (body["online"], body["available"], body["source"]) == (1, 1, "postgres")
    assert (body["loads"], body["loads_source"]) == ({"0": 1}, "postgres")
    assert age(body["loads_as_of"]) < 60
    assert body["mirror"]["state"] == "away"
    assert body["mirror"]["reason"]
    assert "rebuilt by itself" in body["mirror"]["advice"]
