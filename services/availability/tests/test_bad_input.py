"""Beats of people who may not beat, events and commands that make no sense: outcome by outcome."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel, ConfigDict
from services.availability.tests.site import Site, token

from common.bus import CommandFailed, Event
from common.ids import new_id
from common.testing.waiting import eventually

HEARTBEAT = "/api/mitra/status/heartbeat"
MARK_OFFLINE = "cmd.availability.mark_offline.v1"
SETTLE_DUE = "cmd.availability.settle_due.v1"


@pytest.fixture(params=["site", "alone"])
def anywhere(request: pytest.FixtureRequest) -> Site:
    """A replica, once with Valkey and NATS, once with neither."""
    found: Site = request.getfixturevalue(request.param)
    return found


async def online(site: Site, **facts: Any) -> UUID:
    """Make a mitra and let her go online."""
    mitra = await site.world.mitra(online=False, **facts)
    assert (await site.mitra("online", mitra))[0] == 200
    return mitra


async def is_online(site: Site, mitra: UUID) -> bool:
    """Look into the database."""
    query = "SELECT is_online FROM availability.mitra_status WHERE mitra_id = $1"
    rows = await site.rows(query, mitra)
    return bool(rows and rows[0]["is_online"])


# --- heartbeats ------------------------------------------------------------------------------


@pytest.mark.req("AV-03", "OP-09")
async def test_only_who_is_online_beats(anywhere: Site) -> None:
    """Deactivated: 403. Offline, never seen, unknown: told so. Nothing is stored for any of them.

    Reactivated, she is offline until she says otherwise: a beat brings nobody back.
    """
    barred, back = [await online(anywhere) for _ in range(2)]
    for mitra in (barred, back):
        await anywhere.world.active(mitra, active=False)
        if anywhere.bus.up:
            await anywhere.kit.seeder.heal([mitra])
    never = await anywhere.world.mitra(online=False)
    without_row = new_id()
    await anywhere.admin.execute("INSERT INTO auth.people VALUES ($1, true, 1)", without_row)
    unknown = new_id()

    for _ in range(3):
        status, problem = await anywhere.mitra("heartbeat", barred)
        assert (status, problem["code"]) == (403, "mitra_inactive")
        for mitra in (never, without_row, unknown):
            status, body = await anywhere.mitra("heartbeat", mitra)
            assert (status, body["is_online"]) == (200, False)
    await anywhere.call(
        "POST", f"/api/control/availability/mitras/{back}/force-offline", role="operator"
    )
    await anywhere.world.active(back, active=True)
    if anywhere.bus.up:
        await anywhere.kit.seeder.heal([back])
    assert (await anywhere.mitra("heartbeat", back))[1]["is_online"] is False

    known = {
        row["mitra_id"] for row in await anywhere.rows("SELECT * FROM availability.mitra_status")
    }
    assert known == {barred, back, never}
    if anywhere.bus.up:
        # An id that the mirror does not know stays unknown to it; who is barred counts as nobody.
        assert (
            set(await anywhere.kit.mirror.last_beats([never, without_row, unknown, back])) == set()
        )
        assert not (await anywhere.kit.mirror.is_reachable([barred]))[barred].reachable


@pytest.mark.req("AV-03", "OP-09")
async def test_nobody_else_beats(anywhere: Site) -> None:
    """A customer's or an operator's token is refused, whoever's id is in it."""
    mitra = await anywhere.world.mitra(beat_age=30)
    for role in ("customer", "operator"):
        status, problem = await anywhere.call("POST", HEARTBEAT, role=role, user=mitra)
        assert (status, problem["code"]) == (403, "forbidden")
    assert await anywhere.world.beaten_ago(mitra) > 29


@pytest.mark.req("AV-03", "OP-09")
async def test_a_beat_without_a_proper_token_is_a_401(anywhere: Site) -> None:
    """No token, half a token, somebody else's scheme: 401 with its code."""
    for sent in (None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic bWl0cmE6", "bearer"):
        headers = {} if sent is None else {"Authorization": sent}
        async with anywhere.client.post(HEARTBEAT, headers=headers) as answer:
            problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (401, "unauthenticated"), sent


@pytest.mark.req("AV-03", "OP-09")
async def test_what_comes_with_a_beat_changes_nothing(anywhere: Site) -> None:
    """A body, a query, an id of another mitra: the token alone says whose beat it is."""
    mitra, other = await anywhere.world.mitra(beat_age=30), await anywhere.world.mitra(beat_age=30)
    if anywhere.bus.up:
        await anywhere.kit.seeder.heal([mitra, other])
    headers = {"Authorization": f"Bearer {token('mitra', user=mitra)}"}
    for body in (b"", b"{", b"\xff\xfe", orjson.dumps({"mitra_id": str(other)}), b"[]" * 1000):
        async with anywhere.client.post(
            f"{HEARTBEAT}?mitra_id={other}", headers=headers, data=body
        ) as answer:
            assert (answer.status, (await answer.json())["is_online"]) == (200, True)
    if anywhere.bus.up:
        beats = await anywhere.kit.mirror.last_beats([mitra, other])
        assert beats[mitra] - beats[other] > 25_000
    else:
        assert await anywhere.world.beaten_ago(mitra) < 25
        assert await anywhere.world.beaten_ago(other) > 29


# --- events ----------------------------------------------------------------------------------


class SessionCreated(Event):
    """As chat tells it."""

    subject: ClassVar[str] = "evt.chat.session_created.v1"
    mitra_id: UUID
    version: int = 1


class SessionCompleted(Event):
    """As chat tells it."""

    subject: ClassVar[str] = "evt.chat.session_completed.v1"
    mitra_id: UUID
    version: int = 1


class MitraDeactivated(Event):
    """As auth tells it."""

    subject: ClassVar[str] = "evt.auth.mitra_deactivated.v1"
    mitra_id: UUID
    version: int = 1


class MitraReactivated(Event):
    """As auth tells it."""

    subject: ClassVar[str] = "evt.auth.mitra_reactivated.v1"
    mitra_id: UUID
    version: int = 1


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@pytest.mark.req("AV-10", "AV-02")
async def test_repeated_and_reordered_events_end_at_the_truth(site: Site) -> None:
    """Each event comes twice, all of them shuffled: what counts is what Postgres says by then."""
    shuffle = random.Random(7)
    busy, free, barred, back = [await online(site) for _ in range(4)]
    told: list[tuple[Event, UUID]] = []
    for load in (1, 2, 3):
        await site.world.load(busy, load)
        told.append((SessionCreated(mitra_id=busy, at=now(), version=load), new_id()))
    for load in (3, 0):
        await site.world.load(free, load)
        told.append((SessionCompleted(mitra_id=free, at=now(), version=load), new_id()))
    await site.world.active(barred, active=False)
    # In one step: the replica, too, looks who is deactivated, all the time.
    async with site.admin.transaction():
        await site.world.active(back, active=False)
        await site.world.active(back, active=True)
    told += [
        (MitraDeactivated(mitra_id=barred, at=now()), new_id()),
        (MitraDeactivated(mitra_id=back, at=now()), new_id()),
        (MitraReactivated(mitra_id=back, at=now()), new_id()),
    ]
    told *= 2
    shuffle.shuffle(told)
    for event, event_id in told:
        await site.publish(event, event_id)

    async def right() -> bool:
        there = await site.kit.mirror.is_reachable([busy, free, barred, back])
        return [(there[one].reachable, there[one].available) for one in there] == [
            (True, False),
            (True, True),
            (False, False),
            (True, True),
        ] and await site.kit.seeder.diff() == []

    await eventually(right)

    async def barred_is_offline() -> bool:
        return not await is_online(site, barred)

    # Whoever heals the mirror bars her there first.
    await eventually(barred_is_offline)
    assert await is_online(site, back), "an old deactivation took nobody offline"


MALFORMED = {
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "nothing": b"",
    "a list": b"[]",
    "no mitra": b'{"at": "2026-01-01T00:00:00Z"}',
    "no id": b'{"mitra_id": "somebody", "at": "2026-01-01T00:00:00Z"}',
    "a number": b'{"mitra_id": 1e400}',
    "null": b'{"mitra_id": null}',
    "deep": b"[" * 5000 + b"]" * 5000,
}


@pytest.mark.req("AV-10", "OP-09")
async def test_a_malformed_event_is_buried_and_hinders_nobody(site: Site) -> None:
    """Nine kinds of nonsense in both streams: kept as dead letters, and the next one is heard."""
    mitra = await online(site)
    for subject in ("evt.chat.session_created.v1", "evt.auth.mitra_deactivated.v1"):
        for body in MALFORMED.values():
            await raw_event(site, subject, body)
    await site.world.load(mitra, 3)
    await site.publish(SessionCreated(mitra_id=mitra, at=now()))

    async def full() -> bool:
        return not (await site.kit.mirror.is_reachable([mitra]))[mitra].available

    # Sooner than anything that was given back comes again for the last time.
    await eventually(full, timeout=30)

    async def buried() -> bool:
        rows = await site.rows("SELECT reason FROM availability.dead_letters")
        return [row["reason"] for row in rows] == ["malformed"] * 2 * len(MALFORMED)

    await eventually(buried)
    assert await is_online(site, mitra)
    assert (await site.mitra("heartbeat", mitra))[1]["is_online"] is True


async def raw_event(site: Site, subject: str, body: bytes) -> None:
    """Put anything into a stream."""
    event_id = new_id()
    await site.bus.publish_event(
        id=event_id,
        subject=subject,
        body=body,
        headers={"Temani-Id": str(event_id), "Temani-Time": now().isoformat()},
    )


@pytest.mark.req("AV-10")
async def test_an_event_about_a_stranger_makes_nobody_available(site: Site) -> None:
    """Sessions, deactivations and logouts of someone whom nobody knows: no row, no candidate."""
    stranger = new_id()
    for event in (SessionCreated, SessionCompleted, MitraDeactivated, MitraReactivated):
        await site.publish(event(mitra_id=stranger, at=now()))
    marker = await online(site)
    await site.world.load(marker, 3)
    await site.publish(SessionCreated(mitra_id=marker, at=now()))

    async def heard() -> bool:
        return not (await site.kit.mirror.is_reachable([marker]))[marker].available

    await eventually(heard)
    await site.all_heard()
    there = (await site.kit.mirror.is_reachable([stranger]))[stranger]
    assert (there.reachable, there.available) == (False, False)
    assert await site.kit.presence.find_available(10) == []
    rows = await site.rows("SELECT mitra_id FROM availability.mitra_status")
    assert [row["mitra_id"] for row in rows] == [marker]
    assert await site.rows("SELECT 1 FROM availability.dead_letters") == []


# --- commands --------------------------------------------------------------------------------


class Anything(BaseModel):
    """A command with whatever is in it."""

    model_config = ConfigDict(extra="allow")


def item(mitra: object, **more: object) -> dict[str, object]:
    """Return one item of mark_offline."""
    return {"mitra_id": str(mitra), "status_version": 2, "seen_at_ms": 0, **more}


@pytest.mark.req("SW-01", "OP-09")
async def test_a_malformed_command_is_refused_as_a_whole(site: Site) -> None:
    """The asker is told that it makes no sense; nothing is done, and the next command works."""
    stale = await site.world.mitra(beat_age=200)
    await site.kit.seeder.heal([stale])
    malformed: list[dict[str, object]] = [
        {},
        {"items": None},
        {"items": "all"},
        {"items": [{}]},
        {"items": [item("everybody")]},
        {"items": [item(stale, status_version="x")]},
        {"items": [item(stale, status_version=2**63)]},
        {"items": [item(stale, status_version=-1)]},
        {"items": [item(stale, seen_at_ms=None)]},
        {"items": [item(stale, seen_at_ms=2**63)]},
        {"items": [item(stale)] * 5001},
        {"items": [item(stale)], "fence": -1},
    ]
    for command in malformed:
        with pytest.raises(CommandFailed) as refusal:
            await site.bus.request(MARK_OFFLINE, Anything(**command), timeout=10)
        assert refusal.value.error_code == "malformed", str(command)[:80]
    assert await is_online(site, stale)

    fine = Anything(items=[item(stale, seen_at_ms=2**50)], fence=2**40)
    answer = orjson.loads(await site.bus.request(MARK_OFFLINE, fine, timeout=10))
    assert answer == {"offline": 1, "refused": 0}


@pytest.mark.req("SW-01")
async def test_a_command_whose_view_is_off_takes_nobody_living(site: Site) -> None:
    """Minutes ahead, repeated, twenty times at once, about the living: only the stale one goes."""
    living, stale = await online(site), await site.world.mitra(beat_age=200)
    stranger = new_id()
    await site.kit.seeder.heal([stale])
    ahead = int((time.time() + 300) * 1000)
    mitras = (living, stale, stale, stranger, stale)
    command = Anything(items=[item(one, seen_at_ms=ahead) for one in mitras], fence=2**40)
    answers = await asyncio.gather(
        *(site.bus.request(MARK_OFFLINE, command, timeout=10) for _ in range(20))
    )

    assert sum(orjson.loads(answer)["offline"] for answer in answers) == 1
    assert await is_online(site, living)
    assert not await is_online(site, stale)
    ended = await site.rows("SELECT mitra_id, end_reason FROM availability.online_intervals")
    assert [one["end_reason"] for one in ended if one["mitra_id"] == living] == [None]
    events = await site.rows(
        "SELECT 1 FROM availability.outbox WHERE subject = 'evt.availability.mitra_offline.v1'"
    )
    assert len(events) == 1


@pytest.mark.req("OP-09")
async def test_what_is_due_by_mistake_is_not_settled(site: Site) -> None:
    """Unknown kinds, strangers, the living, the same one ten times: nothing happens to anybody."""
    mitra = await online(site)
    items = [
        {"kind": "deactivated_online", "id": str(mitra)},
        {"kind": "deactivated_online", "id": str(new_id())},
        {"kind": "something_else", "id": str(mitra)},
    ]
    answer = await site.bus.request(SETTLE_DUE, Anything(items=items * 10), timeout=10)

    assert orjson.loads(answer) == {"settled": 0}
    assert await is_online(site, mitra)


# --- operators -------------------------------------------------------------------------------


@pytest.mark.req("OP-09")
async def test_an_operator_s_slip_is_a_clear_refusal(anywhere: Site) -> None:
    """Each is a problem document with a stable code, never a 500."""
    slips = (
        ("GET", "mitras?limit=0", 422),
        ("GET", "mitras?limit=201", 422),
        ("GET", "mitras?limit=x", 422),
        ("GET", "mitras?cursor=everybody", 422),
        ("GET", "mitras?online=perhaps", 422),
        ("POST", "mitras/everybody/force-offline", 404),
        ("POST", "mitras//force-offline", 404),
        ("POST", f"mitras/{UUID(int=1)}/force-offline", 404),
        ("DELETE", "mitras", 405),
    )
    for method, path, status in slips:
        found, problem = await anywhere.call(
            method, f"/api/control/availability/{path}", role="operator"
        )
        assert found == status, path
        assert problem["code"]
