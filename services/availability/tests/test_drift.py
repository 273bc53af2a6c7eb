"""Drift, planted in a real Valkey: found, healed, listed with its cause and age, and forgotten."""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import pytest
import valkey.asyncio as valkey_client
from prometheus_client import REGISTRY
from services.availability.tests.site import Site
from tests.support import TestDatabase

from availability.handlers import DriftLog
from availability.handlers.reseeds import Reseeds
from availability.store import QUERIES, Drift
from availability.store import Reseeds as ReseedRows
from common.clock import SystemClock
from common.db import Database, Unavailable
from common.ids import new_id
from common.runner import Runner
from common.testing.waiting import eventually
from mirror import (
    Applied,
    BeatOutcome,
    DriftBook,
    Limits,
    Mended,
    MirrorUnavailable,
    Reconciled,
    Seeded,
    Seeder,
    open_mirror,
)
from mirror.testing import World

DRIFT = "/api/control/availability/drift"
RESEED = "/api/control/availability/reseed"


async def told(site: Site, query: str = "") -> dict[str, Any]:
    """Read the page as an operator."""
    status, body = await site.call("GET", DRIFT + query, role="operator")
    assert status == 200, body
    return dict(body)


async def online(site: Site, **facts: Any) -> UUID:
    """Let a mitra go online; the mirror has her."""
    mitra = await site.world.mitra(online=False, **facts)
    assert (await site.mitra("online", mitra))[0] == 200
    return mitra


async def turned(site: Site) -> dict[str, Any]:
    """Wait for a turn of the reconcile that began after now."""
    before = (await told(site))["last_turn"]
    found: dict[str, Any] = {}

    async def another() -> bool:
        found.update(await told(site))
        return found["last_turn"] is not None and found["last_turn"] != before

    await eventually(another)
    return found


async def eventually_listed(site: Site, expected: set[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Wait until exactly this is listed, as mitra, fact, cause, mirror, Postgres."""
    items: list[dict[str, Any]] = []
    keys = ("mitra_id", "fact", "cause", "mirror", "postgres")

    async def listed() -> bool:
        items[:] = (await told(site))["recent"]["items"]
        assert {tuple(item[key] for key in keys) for item in items} == expected
        return True

    await eventually(listed)
    return items


Plant = Callable[[Site, UUID], Awaitable[Any]]


async def _lost_online(site: Site, mitra: UUID) -> None:
    await site.raw.zrem("{mitras}:online", str(mitra))


async def _wrong_load(site: Site, mitra: UUID) -> None:
    await site.raw.hset("{mitras}:load", str(mitra), "3/3")


async def _barred(site: Site, mitra: UUID) -> None:
    await site.raw.sadd("{mitras}:deactivated", str(mitra))


async def _lost_answer(site: Site, mitra: UUID) -> None:
    await site.raw.zrem("{mitras}:available", str(mitra))


@pytest.mark.req("AV-15", "AV-09")
@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (_lost_online, ("online", "wrong", "False", "True")),
        (_wrong_load, ("load", "wrong", "3/3", "0/3")),
        (_barred, ("active", "wrong", "False", "True")),
        (_lost_answer, ("available", "kept_answer", "False", "True")),
    ],
)
async def test_what_is_wrong_is_found_healed_and_listed(
    site: Site, plant: Plant, expected: tuple[str, ...]
) -> None:
    """By the reconcile, within a turn; with its cause, both values, and how old it can be."""
    mitra = await online(site)
    await turned(site)
    healed = REGISTRY.get_sample_value("mirror_healed_total") or 0.0
    await plant(site, mitra)

    items = await eventually_listed(site, {(str(mitra), *expected)})

    assert (items[0]["found_by"], items[0]["display_name"][:5]) == ("reconcile", "Mitra")
    assert 0 <= items[0]["at_most_seconds"] < 60
    assert await site.kit.seeder.diff() == []
    body = await told(site)
    assert body["mirror"]["state"] == "ok"
    assert body["last_turn"]["mitras"] == 1
    assert (REGISTRY.get_sample_value("mirror_healed_total") or 0.0) > healed


@pytest.mark.req("AV-15")
async def test_a_change_that_never_came_is_missed(site: Site) -> None:
    """Postgres has a newer version than the mirror, for longer than a write takes."""
    mitra = await online(site, load=0)
    await site.admin.execute(
        "UPDATE chat.loads SET load = 2, version = version + 1,"
        " changed_at = clock_timestamp() - interval '20 seconds' WHERE mitra_id = $1",
        mitra,
    )
    items = await eventually_listed(site, {(str(mitra), "load", "missed", "0/3", "2/3")})
    assert items[0]["at_most_seconds"] < 60


@pytest.mark.req("AV-15")
async def test_a_change_on_its_way_is_no_drift(site: Site) -> None:
    """What changed a moment ago and meets the reconcile first is mended, and is no news."""
    mitra = await online(site)
    book = DriftBook(site_database(site))
    fresh = Mended(mitra, "online", "missed", "False", "True")
    # As young as can be, however long it takes to say so.
    await site.admin.execute(
        "UPDATE availability.mitra_status SET changed_at = clock_timestamp() + interval '1 minute'"
    )
    assert await book.note("reconcile", [fresh]) == 0
    await site.admin.execute(
        "UPDATE availability.mitra_status SET changed_at = clock_timestamp() - interval '3 s'"
    )
    assert await book.note("reconcile", [fresh]) == 1


@pytest.mark.req("AV-15")
async def test_an_age_is_known_or_not_told(alone: Site) -> None:
    """At most since the truth changed or all was compared, the later; else nobody knows."""
    book, mitra = DriftBook(site_database(alone)), await alone.world.mitra(beat_age=100)
    await alone.admin.execute("UPDATE chat.loads SET changed_at = NULL")
    drift = [
        Mended(mitra, "available", "kept_answer", "False", "True"),
        Mended(mitra, "load", "missed", "1/3", "0/3"),
        Mended(mitra, "online", "missed", "False", "True"),
    ]
    assert await book.note("reconcile", drift) == 3
    ages = {one["fact"]: one["at_most_seconds"] for one in (await told(alone))["recent"]["items"]}
    assert (ages["available"], ages["load"]) == (None, None)
    assert 100 <= ages["online"] < 160

    await book.note_turn(seconds=40, mitras=1, found=0)
    await alone.admin.execute("DELETE FROM availability.mirror_drift")
    assert await book.note("reconcile", drift) == 3
    again = [one["at_most_seconds"] for one in (await told(alone))["recent"]["items"]]
    assert all(40 <= age < 90 for age in again)


def site_database(site: Site) -> Database:
    """Return availability's own way to the database."""
    return cast("Database", site.kit.drift._db)


@pytest.mark.req("AV-15")
async def test_a_beat_mends_and_says_so(stage: TestDatabase, valkey_url: str) -> None:
    """She beats while the mirror has lost her: healed on the spot, kept as found by a beat."""
    runner, raw = Runner(), valkey_client.Valkey.from_url(valkey_url)
    db = await Database.connect(stage.url("availability"), name="test")
    kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
    async with stage.admin() as admin:
        mitra = await World(admin).mitra(beat_age=30)
        assert await kit.seeder.reseed("test") is not None
        await raw.zrem("{mitras}:online", str(mitra))

        assert await kit.beats.beat(mitra) is BeatOutcome.RECORDED

        rows = await admin.fetch(
            "SELECT mitra_id, fact, cause, found_by FROM availability.mirror_drift"
        )
    assert [tuple(row) for row in rows] == [(mitra, "online", "wrong", "beat")]
    await runner.stop(budget=20)
    await db.close()
    await raw.aclose()


@pytest.mark.req("AV-15")
async def test_a_mirror_that_was_empty_had_no_drift(site: Site) -> None:
    """What a reseed brings into an emptied Valkey was not wrong before; the look is kept."""
    mitras = [await online(site) for _ in range(3)]
    # Whoever was just comparing them would find them missing.
    await site.reconcile_stops()
    await site.raw.flushall()

    async def back() -> bool:
        look = (await told(site))["last_reseed"]
        return look is not None and look["mitras"] == 3

    await eventually(back)
    body = await told(site)
    assert (body["last_reseed"]["found"], body["recent"]["items"]) == (0, [])
    assert len(mitras) == 3


@pytest.mark.req("AV-15")
async def test_the_rest_of_a_flood_is_only_counted(alone: Site) -> None:
    """Of one step 200 are kept; the count knows all of them."""
    book = DriftBook(site_database(alone))
    flood = [Mended(new_id(), "load", "wrong", "1/3", "0/3") for _ in range(450)]
    assert await book.note("reconcile", flood) == 450
    assert len(await alone.rows("SELECT 1 FROM availability.mirror_drift")) == 200


@pytest.mark.req("AV-15")
async def test_the_list_goes_in_pages_the_newest_first(alone: Site) -> None:
    """Each page goes on where the one before ended."""
    book = DriftBook(site_database(alone))
    whom = [new_id() for _ in range(5)]
    for one in whom:
        await book.note("reseed", [Mended(one, "load", "wrong", None, "0/3")])
    first = (await told(alone, "?limit=3"))["recent"]
    rest = (await told(alone, f"?limit=3&cursor={first['next_cursor']}"))["recent"]
    seen = [item["mitra_id"] for item in first["items"] + rest["items"]]
    assert seen == [str(one) for one in reversed(whom)]
    assert rest["next_cursor"] is None
    assert first["items"][0]["mirror"] is None


@pytest.mark.req("AV-15")
async def test_old_drift_is_forgotten(alone: Site) -> None:
    """After seven days a row goes; a flood never keeps more than its share of the disk."""
    book, rows = DriftBook(site_database(alone)), Drift(site_database(alone))
    old, new = new_id(), new_id()
    for one in (old, new):
        await book.note("reseed", [Mended(one, "load", "wrong", None, "0/3")])
    await alone.admin.execute(
        "UPDATE availability.mirror_drift SET found_at = found_at - interval '7 days'"
        " WHERE mitra_id = $1",
        old,
    )
    # Unless the replica itself was faster.
    assert await rows.prune() <= 1
    assert [item["mitra_id"] for item in (await told(alone))["recent"]["items"]] == [str(new)]

    await book.note("reseed", [Mended(new_id(), "load", "wrong", None, "0/3") for _ in range(20)])
    gone = await alone.rows(_owned(QUERIES["prune_drift"]) + " RETURNING mitra_id", 7.0, 5, 100)
    assert len(gone) == 16
    assert new in {row["mitra_id"] for row in gone}


def _owned(query: str) -> str:
    return query.rstrip(" ;\n").replace("mirror_drift", "availability.mirror_drift")


class NoDatabase:
    """Postgres is away."""

    def connection(self) -> Any:
        """Refuse."""
        raise Unavailable("away")


async def test_noting_never_fails() -> None:
    """Without Postgres what was mended counts, and the healing goes on."""
    mended = [Mended(new_id(), "online", "wrong", "False", "True")]
    assert await DriftBook(cast("Database", NoDatabase())).note("reconcile", mended) == 1


class FakeBook:
    """Remembers the turns it was told of."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, int, int]] = []

    async def note(self, _by: str, mended: tuple[Mended, ...]) -> int:
        """Count what is given."""
        return len(mended)

    async def note_turn(self, *, seconds: float, mitras: int, found: int) -> None:
        """Keep a turn."""
        self.turns.append((seconds, mitras, found))


class FakeClock:
    """Goes on a second each look."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        """Return the next second."""
        self.seconds += 1
        return self.seconds


async def test_a_turn_is_the_sum_of_its_steps() -> None:
    """Mitras and finds of each step count to its turn and to no other; nobody is no turn."""
    book, one = FakeBook(), Mended(new_id(), "load", "wrong", "1/3", "0/3")
    log = DriftLog(book=cast("DriftBook", book), clock=cast("Any", FakeClock()))

    def step(mitras: int, found: int, *, turned: bool) -> Reconciled:
        return Reconciled(mitras, Applied(mended=(one,) * found), (), turned)

    await log.stepped(step(500, 1, turned=False), seconds=0.5)
    await log.stepped(step(300, 2, turned=True), seconds=0.5)
    await log.stepped(step(800, 0, turned=True), seconds=0.5)
    await log.stepped(step(0, 0, turned=True), seconds=0.5)
    assert book.turns == [(1.5, 800, 3), (1.5, 800, 0)]


# --- reseeds that operators order --------------------------------------------------------------


async def finished(site: Site, reseed_id: str) -> dict[str, Any]:
    """Wait until a reseed is over."""
    body: dict[str, Any] = {}

    async def over() -> bool:
        status, answer = await site.call(
            "GET", f"/api/control/availability/reseeds/{reseed_id}", role="operator"
        )
        assert status == 200, answer
        body.update(answer)
        return body["state"] in ("done", "failed")

    await eventually(over)
    return body


@pytest.mark.req("AV-15", "AV-09")
async def test_an_ordered_reseed_tells_what_it_did(site: Site) -> None:
    """Asked for by its id: how many mitras, what was healed, whom Postgres does not know."""
    mitra, stranger = await online(site), new_id()
    await site.raw.zrem("{mitras}:online", str(mitra))
    await site.raw.hset("{mitras}:versions", f"{stranger}:o", "1.1")
    status, body = await site.call("POST", RESEED, role="operator")
    assert (status, body["state"]) == (202, "started")

    done = await finished(site, body["reseed_id"])
    assert (done["state"], done["total"], done["mitras"]) == ("done", 1, 1)
    assert (done["strangers"], done["error"], done["advice"]) == (1, None, None)
    assert await site.kit.seeder.diff() == []
    items = (await told(site))["recent"]["items"]
    assert (str(stranger), "all", "stranger") in {
        (item["mitra_id"], item["fact"], item["cause"]) for item in items
    }
    assert (await told(site))["last_reseed"]["mitras"] == 1


@pytest.mark.req("AV-15")
async def test_a_reseed_that_cannot_says_why(alone: Site) -> None:
    """Without Valkey it fails, with the reason and what to do."""
    _, body = await alone.call("POST", RESEED, role="operator")
    failed = await finished(alone, body["reseed_id"])
    assert failed["state"] == "failed"
    assert failed["error"]
    assert failed["error_code"] == "failed"
    assert "Order it again" in failed["advice"]


async def test_an_unknown_reseed_is_a_404(alone: Site) -> None:
    """An id that nobody ordered is not there."""
    path = f"/api/control/availability/reseeds/{new_id()}"
    status, problem = await alone.call("GET", path, role="operator")
    assert (status, problem["code"]) == (404, "reseed_unknown")


async def test_a_reseed_whose_replica_died_is_told_as_lost(alone: Site) -> None:
    """Nobody told anything of it for a while: failed, and to be ordered again."""
    reseed_id = new_id()
    rows = ReseedRows(site_database(alone))
    await rows.add(reseed_id, asked_by=new_id())
    await rows.moved(reseed_id, 0)
    assert not (await rows.get(reseed_id)).is_lost
    await alone.admin.execute(
        "UPDATE availability.reseeds SET changed_at = changed_at - interval '21 seconds'"
    )
    lost = await finished(alone, str(reseed_id))
    assert (lost["state"], lost["error"]) == ("failed", "The replica that did it is gone.")
    assert lost["error_code"] == "lost"


class BusySeeder:
    """Another replica is at it for the first tries."""

    def __init__(self, busy: int, *, away: bool = False) -> None:
        self.busy = busy
        self.away = away

    async def reseed(self, _reason: str, *, told: Callable[[int], Awaitable[None]]) -> Any:
        """Rebuild, or not yet."""
        if self.away:
            raise MirrorUnavailable("away")
        if self.busy:
            self.busy -= 1
            return None
        await told(7)
        return Seeded(mitras=7, applied=Applied(), strangers=(), seconds=0.1)


async def test_a_reseed_waits_for_its_turn(alone: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reseed is under way: this one comes after it, and not instead of it."""
    monkeypatch.setattr("availability.handlers.reseeds._LOOK_AGAIN_SECONDS", 0.01)
    db, runner, seeder = site_database(alone), Runner(), BusySeeder(3)
    log = DriftLog(book=DriftBook(db), clock=cast("Any", FakeClock()))
    reseeds = Reseeds(seeder=cast("Seeder", seeder), store=ReseedRows(db), drift=log, runner=runner)
    reseed_id = await reseeds.order(operator_id=new_id())
    done = await finished(alone, str(reseed_id))
    assert (done["state"], done["mitras"], seeder.busy) == ("done", 7, 0)
    await runner.stop(budget=20)
