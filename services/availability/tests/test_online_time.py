"""How long a mitra was online: sums that come out the same whenever, by whomever they are asked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from services.availability.tests.site import Site
from services.availability.tests.test_hearing import (
    Command,
    LoginRevoked,
    MitraDeactivated,
    is_online,
    now,
)

from common.ids import new_id
from common.testing.waiting import eventually

DAY = datetime(2026, 1, 31, tzinfo=UTC)


def at(hour: float) -> datetime:
    """Return an hour of that day."""
    return DAY + timedelta(hours=hour)


async def shifts(site: Site, mitra: UUID, *spans: tuple[float, float | None, str | None]) -> None:
    """Write down when she was online: from hour, to hour, why it ended."""
    for starts, ends, reason in spans:
        await site.admin.execute(
            "INSERT INTO availability.online_intervals (mitra_id, started_at, ended_at, end_reason)"
            " VALUES ($1, $2, $3, $4)",
            mitra,
            at(starts),
            None if ends is None else at(ends),
            reason,
        )


async def online_time(
    site: Site,
    mitra: UUID,
    starts: datetime | None = None,
    ends: datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Ask as an operator."""
    given = {"from": starts, "to": ends, **more}
    query = "&".join(
        f"{name}={quote(value.isoformat() if isinstance(value, datetime) else str(value))}"
        for name, value in given.items()
        if value is not None
    )
    status, body = await site.call(
        "GET", f"/api/control/availability/mitras/{mitra}/online-time?{query}", role="operator"
    )
    assert status == 200, body
    return dict(body)


@pytest.mark.req("AV-14")
async def test_intervals_are_clipped_to_the_window(alone: Site) -> None:
    """What began before and what ends after counts as far as it lies within."""
    mitra = await alone.world.mitra(online=False)
    await shifts(
        alone, mitra, (1, 2, "self"), (3, 8, "auto_offline"), (9, 10, "operator"), (11, 14, "self")
    )

    body = await online_time(alone, mitra, at(4), at(12))

    assert (body["seconds"], body["count"]) == (4 * 3600 + 3600 + 3600, 3)
    assert [(one["reason"], one["seconds"], one["is_open"]) for one in body["items"]] == [
        ("auto_offline", 4 * 3600, False),
        ("operator", 3600, False),
        # Still online at the window's end: why it ended later is no matter of this window.
        (None, 3600, True),
    ]
    assert body["items"][0]["starts_at"] == "2026-01-31T04:00:00Z"
    assert body["items"][0]["went_online_at"] == "2026-01-31T03:00:00Z"
    assert body["items"][2]["ends_at"] == "2026-01-31T12:00:00Z"


@pytest.mark.req("AV-14")
async def test_the_sum_of_a_shift_is_reproducible(alone: Site) -> None:
    """A past window is answered the same before and after the open interval ends, to the letter."""
    mitra = await alone.world.mitra(online=False)
    await shifts(alone, mitra, (1, 2.5, "self"), (3, None, None))
    first = await online_time(alone, mitra, at(0), at(8))

    await alone.admin.execute(
        "UPDATE availability.online_intervals SET ended_at = $1, end_reason = 'logout'"
        " WHERE ended_at IS NULL",
        at(9),
    )

    assert await online_time(alone, mitra, at(0), at(8)) == first
    assert first["seconds"] == 6.5 * 3600


@pytest.mark.req("AV-14")
async def test_shifts_add_up(alone: Site) -> None:
    """However a day is cut, its parts sum to the whole: nothing is counted twice or lost."""
    mitra = await alone.world.mitra(online=False)
    await shifts(
        alone, mitra, (0.5, 2, "self"), (2, 7.25, "logout"), (7.5, 7.5, "self"), (9, 23, "self")
    )
    whole = (await online_time(alone, mitra, at(0), at(24)))["seconds"]

    for hours in (8, 3, 1):
        parts = [
            (await online_time(alone, mitra, at(start), at(start + hours)))["seconds"]
            for start in range(0, 24, hours)
        ]
        assert sum(parts) == pytest.approx(whole, abs=1e-5)
    assert whole == (1.5 + 5.25 + 14) * 3600


@pytest.mark.req("AV-14")
async def test_edges_belong_to_one_side(alone: Site) -> None:
    """What ends as the window starts, or starts as it ends, is not in it."""
    mitra = await alone.world.mitra(online=False)
    await shifts(alone, mitra, (1, 2, "self"), (4, 5, "self"))
    body = await online_time(alone, mitra, at(2), at(4))
    assert (body["seconds"], body["count"], body["items"]) == (0, 0, [])
    exact = await online_time(alone, mitra, at(1), at(2))
    assert (exact["seconds"], exact["items"][0]["is_open"]) == (3600, False)


@pytest.mark.req("AV-14")
async def test_an_open_interval_counts_to_now(alone: Site) -> None:
    """She is online: the time grows, is marked as open, and ends with the clock of Postgres."""
    mitra = await alone.world.mitra(online=False)
    await alone.mitra("online", mitra)
    first = await online_time(alone, mitra)
    again = await online_time(alone, mitra, ends=datetime.now(UTC) + timedelta(hours=1))

    assert [one["is_open"] for one in first["items"]] == [True]
    assert first["items"][0]["ends_at"] == first["ends_at"]
    assert 0 < first["seconds"] < again["seconds"] < 60
    ahead = datetime.fromisoformat(again["ends_at"]) - datetime.now(UTC)
    assert ahead < timedelta(minutes=1)


@pytest.mark.req("AV-14")
async def test_the_list_goes_in_pages_and_the_sum_does_not(alone: Site) -> None:
    """Each page carries the sum of the whole window."""
    mitra = await alone.world.mitra(online=False)
    await shifts(alone, mitra, *((hour, hour + 0.5, "self") for hour in range(7)))
    whole = await online_time(alone, mitra, at(0), at(24))
    cursor, starts = None, []
    for _ in range(4):
        page = await online_time(alone, mitra, at(0), at(24), limit=2, cursor=cursor)
        assert (page["seconds"], page["count"]) == (whole["seconds"], 7)
        starts += [one["starts_at"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert starts == [one["starts_at"] for one in whole["items"]]
    assert cursor is None


@pytest.mark.req("AV-14")
async def test_a_year_behind_is_not_read(alone: Site) -> None:
    """The window decides how much is read, not how long she has worked here."""
    mitra = await alone.world.mitra(online=False)
    await alone.admin.execute(
        "INSERT INTO availability.online_intervals (mitra_id, started_at, ended_at, end_reason)"
        " SELECT $1, $2::timestamptz - n * interval '1 hour',"
        " $2::timestamptz - n * interval '1 hour' + interval '30 minutes', 'self'"
        " FROM generate_series(0, 8000) AS n",
        mitra,
        DAY,
    )
    await alone.admin.execute("ANALYZE availability.online_intervals")
    from availability.store import QUERIES  # noqa: PLC0415 - only here

    plan = await alone.admin.fetch(
        "EXPLAIN (ANALYZE, FORMAT TEXT) "
        + QUERIES["online_time"]
        .replace("online_intervals", "availability.online_intervals")
        .replace("$1", f"'{mitra}'::uuid")
        .replace("$2", f"'{(DAY - timedelta(hours=8)).isoformat()}'::timestamptz")
        .replace("$3", f"'{DAY.isoformat()}'::timestamptz")
        .replace("$4", "NULL")
        .replace("$5", "100")
    )
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan on online_intervals" not in text, text
    assert "Rows Removed by Filter: 8" not in text, text


@pytest.mark.req("AV-14")
async def test_every_reason_comes_from_its_own_doing(site: Site) -> None:
    """Herself, an operator, a logout, a deactivation, silence: each writes its own word."""
    mitra, login = await site.world.mitra(online=False), new_id()
    begun = now()

    await site.mitra("online", mitra, login=login)
    await site.mitra("offline", mitra)

    await site.mitra("online", mitra, login=login)
    await site.call(
        "POST", f"/api/control/availability/mitras/{mitra}/force-offline", role="operator"
    )

    await site.mitra("online", mitra, login=login)
    await site.publish(LoginRevoked(login_id=login, user_id=mitra, at=now()))
    await eventually(lambda: _is_offline(site, mitra))

    await site.mitra("online", mitra)
    await _silent(site, mitra)

    await site.mitra("online", mitra)
    await site.world.active(mitra, active=False)
    await site.publish(MitraDeactivated(mitra_id=mitra, version=2, at=now()))
    await eventually(lambda: _is_offline(site, mitra))

    body = await online_time(site, mitra, begun)
    assert [one["reason"] for one in body["items"]] == [
        "self",
        "operator",
        "logout",
        "auto_offline",
        "deactivated",
    ]
    assert body["seconds"] == pytest.approx(sum(one["seconds"] for one in body["items"]), abs=1e-5)


async def _is_offline(site: Site, mitra: UUID) -> bool:
    return not await is_online(site, mitra)


async def _silent(site: Site, mitra: UUID) -> None:
    """Let her be silent for two minutes, and the sweep come by."""
    (row,) = await site.rows(
        "UPDATE availability.mitra_status SET last_heartbeat_at = clock_timestamp()"
        " - interval '2 minutes' WHERE mitra_id = $1 RETURNING version",
        mitra,
    )
    beats = await site.kit.mirror.last_beats([mitra])
    long_ago = beats[mitra] - 120_000
    for key in ("online", "available"):
        await site.raw.zadd(f"{{mitras}}:{key}", {str(mitra): long_ago})
    item = {"mitra_id": str(mitra), "status_version": row["version"], "seen_at_ms": long_ago}
    await site.bus.request("cmd.availability.mark_offline.v1", Command(items=[item]), timeout=10)
    assert not await is_online(site, mitra)


@pytest.mark.req("AV-14")
async def test_each_sees_what_is_hers(alone: Site) -> None:
    """A mitra asks for herself only; operators for anybody; nobody else at all."""
    one, other = await alone.world.mitra(), await alone.world.mitra(online=False)
    await shifts(alone, other, (1, 2, "self"))
    own = "/api/mitra/status/online-time?from=2026-01-31T00:00:00Z&to=2026-01-31T12:00:00Z"
    assert (await alone.call("GET", own, user=one))[1]["count"] == 0
    assert (await alone.call("GET", own, user=other))[1]["seconds"] == 3600
    theirs = f"/api/control/availability/mitras/{other}/online-time"
    for path, role in (
        (theirs, "mitra"),
        (theirs, "customer"),
        (own, "operator"),
        (own, "customer"),
    ):
        status, problem = await alone.call("GET", path, role=role, user=other)
        assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.req("AV-14")
@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "window_empty"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "window_empty"),
        ("from=2999-01-01T00:00:00Z&to=2999-01-02T00:00:00Z", 422, "window_empty"),
        ("from=2026-01-01T00:00:00Z&to=2026-03-05T00:00:00Z", 422, "window_too_long"),
        ("from=2026-01-01", 422, "invalid_query"),
        ("from=2026-01-01T00:00:00", 422, "invalid_query"),
        ("from=yesterday", 422, "invalid_query"),
        ("to=0001-01-01T00:00:00Z", 422, "invalid_query"),
        ("from=0001-01-01T00:00:00%2B14:00&to=0001-01-02T00:00:00Z", 422, "invalid_query"),
        ("to=9999-12-31T23:59:59-14:00&from=9999-12-31T00:00:00Z", 422, "window_empty"),
        ("to=9999-12-31T23:59:59-14:00&from=2026-01-01T00:00:00Z", 422, "window_too_long"),
        ("limit=0", 422, "invalid_query"),
        ("limit=501", 422, "invalid_query"),
        ("cursor=7", 422, "invalid_query"),
    ],
)
async def test_a_bad_window_says_so(alone: Site, query: str, status: int, code: str) -> None:
    """Each mistake has its own code."""
    mitra = await alone.world.mitra()
    path = f"/api/control/availability/mitras/{mitra}/online-time?{query}"
    got, problem = await alone.call("GET", path, role="operator")
    assert (got, problem["code"]) == (status, code), problem


@pytest.mark.req("AV-14")
async def test_nobody_has_no_time(alone: Site) -> None:
    """Whom the directory does not know is a 404; who was never online has zero seconds."""
    path = f"/api/control/availability/mitras/{new_id()}/online-time"
    status, problem = await alone.call("GET", path, role="operator")
    assert (status, problem["code"]) == (404, "mitra_unknown")
    unseen = new_id()
    await alone.admin.execute("INSERT INTO auth.people VALUES ($1, true, 1)", unseen)
    assert (await online_time(alone, unseen))["seconds"] == 0
