"""What availability hears: auth, chat, and the sweeper's commands."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel
from services.availability.tests.site import Site, running, site_settings
from tests.support import TestDatabase

from common.bus import Event
from common.ids import new_id
from common.testing.bounds import in_time
from common.testing.waiting import eventually


class MitraDeactivated(Event):
    """As auth tells it."""

    subject: ClassVar[str] = "evt.auth.mitra_deactivated.v1"
    mitra_id: UUID
    version: int
    reason: str | None = None


class MitraCreated(Event):
    """As auth tells it."""

    subject: ClassVar[str] = "evt.auth.mitra_created.v1"
    mitra_id: UUID
    version: int = 1
    capacity: int = 3


class LoginRevoked(Event):
    """As auth tells it."""

    subject: ClassVar[str] = "evt.auth.login_revoked.v1"
    login_id: UUID
    user_id: UUID
    role: str = "mitra"
    reason: str = "logout"


class SessionCreated(Event):
    """As chat tells it."""

    subject: ClassVar[str] = "evt.chat.session_created.v1"
    mitra_id: UUID


class Command(BaseModel):
    """Any command."""

    items: list[dict[str, object]]
    reason: str = "auto_offline"
    fence: int = 1


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


async def online(site: Site, **facts: object) -> UUID:
    """Make a mitra and let her go online."""
    mitra = await site.world.mitra(online=False, **facts)  # type: ignore[arg-type]
    assert (await site.mitra("online", mitra))[0] == 200
    return mitra


async def is_online(site: Site, mitra: UUID) -> bool:
    """Look into the database."""
    rows = await site.rows(
        "SELECT is_online FROM availability.mitra_status WHERE mitra_id = $1", mitra
    )
    return bool(rows and rows[0]["is_online"])


@pytest.mark.req("AU-11", "AV-02")
async def test_a_deactivation_is_in_the_mirror_within_two_seconds(site: Site) -> None:
    """Offline with its reason in Postgres, barred in the mirror; her next beat is refused."""

    async def attempt() -> None:
        mitra = await online(site)
        await site.world.active(mitra, active=False)
        async with asyncio.timeout(2):
            await site.publish(MitraDeactivated(mitra_id=mitra, version=2, at=now()))
            await eventually(partial(_is_barred, site, mitra))
        await eventually(partial(_offline_reason, site, mitra, "deactivated"))
        assert (await site.mitra("heartbeat", mitra))[0] == 403

    await in_time(attempt)


async def _is_barred(site: Site, mitra: UUID) -> bool:
    return bool(await site.raw.sismember("{mitras}:deactivated", str(mitra)))


async def _offline_reason(site: Site, mitra: UUID, reason: str) -> bool:
    rows = await site.rows(
        "SELECT offline_reason FROM availability.mitra_status WHERE mitra_id = $1", mitra
    )
    return bool(rows[0]["offline_reason"] == reason)


@pytest.mark.req("AU-11")
async def test_a_deactivation_that_nobody_told_is_found(alone: Site) -> None:
    """NATS and Valkey cut: the ticker over our own rows finds her within half a minute."""
    mitra = await online(alone)
    await alone.world.active(mitra, active=False)
    found: set[object] = set()
    for second in range(16):
        rows = await alone.rows(
            "SELECT s.mitra_id FROM availability.mitra_status AS s"
            " WHERE s.spread / 134217728 = $1 AND s.is_online",
            second,
        )
        found |= {row["mitra_id"] for row in rows}
    assert mitra in found, "each spread belongs to one of sixteen slices"
    await alone.admin.execute(
        "UPDATE availability.mitra_status SET spread = 134217728 *"
        " (floor(extract(epoch FROM clock_timestamp()) + 3)::bigint % 16)"
    )

    async def found_now() -> bool:
        # The ticker may look in the same second: then it has settled her.
        if await _offline_reason(alone, mitra, "deactivated"):
            return True
        return bool(await alone.rows("SELECT id FROM availability.due_v1(10)"))

    # Her second comes once in sixteen: whoever misses it sees the next.
    await eventually(found_now, timeout=50)


@pytest.mark.req("AU-11")
async def test_without_nats_the_reconcile_settles_a_deactivation(
    stage: TestDatabase, valkey_url: str
) -> None:
    """NATS cut, Valkey there: the rolling reconcile bars her and takes her offline."""
    settings = site_settings(stage.url("availability"), valkey_url=valkey_url)
    async with running(settings, stage.admin_url) as site:
        mitra = await online(site)
        await site.world.active(mitra, active=False)
        await eventually(lambda: _offline_reason(site, mitra, "deactivated"))
        assert await _is_barred(site, mitra)


@pytest.mark.req("AV-02")
async def test_a_new_mitra_is_known(site: Site) -> None:
    """She has a row before she ever comes, offline."""
    mitra = new_id()
    await site.admin.execute("INSERT INTO auth.people VALUES ($1, true, 1)", mitra)
    event = MitraCreated(mitra_id=mitra, at=now())
    await site.publish(event)
    await site.publish(event)

    async def known() -> bool:
        return await site.kit.mirror.status(mitra) is not None

    await eventually(known)
    assert not await is_online(site, mitra)


@pytest.mark.req("AV-14")
async def test_logging_out_is_going_offline(site: Site) -> None:
    """The login by which she went online ends: offline with reason logout; told twice, once."""
    login, other = new_id(), new_id()
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra, login=login)
    await site.publish(LoginRevoked(login_id=other, user_id=mitra, at=now()))
    event, event_id = LoginRevoked(login_id=login, user_id=mitra, at=now()), new_id()
    await site.publish(event, event_id)
    await eventually(lambda: _offline_reason(site, mitra, "logout"))
    intervals = await site.rows("SELECT end_reason FROM availability.online_intervals")
    assert intervals == [{"end_reason": "logout"}], "the other login's end changed nothing"


@pytest.mark.req("AV-14", "AU-11")
async def test_a_deactivation_is_the_reason_though_its_logout_is_heard_first(site: Site) -> None:
    """A deactivation ends her logins: whichever news comes first, her shift names the cause."""
    login = new_id()
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra, login=login)
    await site.world.active(mitra, active=False)
    await site.publish(LoginRevoked(login_id=login, user_id=mitra, at=now()))
    await eventually(lambda: _offline_reason(site, mitra, "deactivated"))


@pytest.mark.req("AV-14")
async def test_an_old_logout_does_not_end_a_new_shift(site: Site) -> None:
    """She is online again by another login when it is heard: that is history."""
    login = new_id()
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra, login=login)
    await site.mitra("online", mitra, login=new_id())
    for one in (login, new_id()):
        await site.publish(LoginRevoked(login_id=one, user_id=mitra, at=now()))

    async def heard() -> bool:
        return len(await site.rows("SELECT 1 FROM availability.inbox")) == 2

    await eventually(heard)
    assert await is_online(site, mitra)


@pytest.mark.req("AV-01", "AV-05")
async def test_who_is_online_by_an_ended_login_goes_offline(site: Site) -> None:
    """Also where she went online after its end: nobody here knew yet, or a clock is minutes slow.

    No login lives again, so nobody beats by it: for 45 s she would be offered to customers.
    """
    login = new_id()
    mitra = await site.world.mitra(online=False)
    await site.mitra("online", mitra, login=login)
    ended_at = now() - timedelta(minutes=1)
    await site.publish(LoginRevoked(login_id=login, user_id=mitra, at=ended_at))
    await eventually(lambda: _offline_reason(site, mitra, "logout"))


@pytest.mark.req("AV-10")
async def test_a_session_event_brings_the_load_into_the_mirror(site: Site) -> None:
    """Counted from chat's rows when told; repeats and bursts end at the same load."""
    mitra = await online(site)
    await site.world.load(mitra, 3)
    for _ in range(20):
        await site.publish(SessionCreated(mitra_id=mitra, at=now()))

    async def full() -> bool:
        return not (await site.kit.mirror.is_reachable([mitra]))[mitra].available

    await eventually(full)
    assert await site.raw.hget("{mitras}:load", str(mitra)) == b"3/3"


@pytest.mark.req("SW-01", "AV-14")
async def test_auto_offline_takes_only_whom_the_sweep_saw(site: Site) -> None:
    """Stale and unchanged: offline. Beaten since, another version, or never online: refused."""
    stale = await site.world.mitra(beat_age=200)
    beaten = await site.world.mitra(beat_age=200)
    returned = await site.world.mitra(beat_age=200)
    absent = await site.world.mitra(online=False)
    await site.reseed()
    page = await site.kit.mirror.stale()
    items = [
        {
            "mitra_id": str(one.mitra_id),
            "status_version": one.status_version,
            "seen_at_ms": one.seen_at_ms,
        }
        for one in page.mitras
    ]
    assert len(items) == 3
    items.append({"mitra_id": str(absent), "status_version": 1, "seen_at_ms": 0})
    await site.mitra("heartbeat", beaten)
    await site.mitra("offline", returned)
    await site.mitra("online", returned)
    raw = await site.bus.request(
        "cmd.availability.mark_offline.v1", Command(items=items), timeout=10
    )

    assert orjson.loads(raw) == {"offline": 1, "refused": 3}
    assert not await is_online(site, stale)
    assert await is_online(site, beaten)
    assert await is_online(site, returned)
    again = await site.bus.request(
        "cmd.availability.mark_offline.v1", Command(items=items), timeout=10
    )
    assert orjson.loads(again) == {"offline": 0, "refused": 4}


@pytest.mark.req("SW-01")
async def test_auto_offline_does_nothing_without_a_mirror(site: Site) -> None:
    """Emptied between the sweep's look and the command: "I cannot see them" is not "gone"."""
    mitra = await site.world.mitra(beat_age=200)
    await site.reseed()
    (one,) = (await site.kit.mirror.stale()).mitras
    # Somebody else holds the right to seed, so the replica cannot mend it before the command comes.
    await eventually(partial(_nobody_seeds, site))
    await site.raw.set("{mitras}:seed", "9 1 x x 0 0")
    item = {
        "mitra_id": str(mitra),
        "status_version": one.status_version,
        "seen_at_ms": one.seen_at_ms,
    }
    raw = await site.bus.request(
        "cmd.availability.mark_offline.v1", Command(items=[item]), timeout=10
    )

    assert orjson.loads(raw)["offline"] == 0
    assert await is_online(site, mitra)


async def _nobody_seeds(site: Site) -> bool:
    query = "SELECT pg_epoch FROM availability.take_seeding_v1($1, 600000)"
    return bool(await site.rows(query, new_id()))


async def test_settle_due_looks_again(site: Site) -> None:
    """Only who is deactivated now goes offline, whatever the sweeper believed."""
    fine, barred = await online(site), await online(site)
    await site.world.active(barred, active=False)
    items = [{"kind": "deactivated_online", "id": str(one)} for one in (fine, barred)]
    await site.bus.request("cmd.availability.settle_due.v1", Command(items=items), timeout=10)

    assert await is_online(site, fine)
    assert not await is_online(site, barred)
