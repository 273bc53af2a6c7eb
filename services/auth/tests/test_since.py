"""Since when a mitra is as operators say she is: one clock, and nothing that nobody knows."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from services.auth.tests.test_mitras import switch
from services.auth.tests.world import World
from tests.support import Databases

from common.ids import new_id
from temani import layout

MIGRATIONS = layout.service_home("auth") / "migrations"


async def since(world: World, mitra_id: UUID) -> datetime:
    """Ask as a neighbour would."""
    moment: datetime = await world.value(
        "SELECT changed_at FROM auth.mitra_directory_v2(ARRAY[$1::uuid])", mitra_id
    )
    return moment


async def now(world: World) -> datetime:
    """Return Postgres' time."""
    moment: datetime = await world.value("SELECT clock_timestamp()")
    return moment


@pytest.mark.req("AV-13")
async def test_each_switch_is_a_new_since(world: World) -> None:
    """Made, off, on: each time since then, on Postgres' clock; the same again moves nothing."""
    before = await now(world)
    mitra_id = await world.mitra()
    made = await since(world, mitra_id)
    assert before <= made <= await now(world)

    await switch(world, mitra_id, is_active=False)
    off = await since(world, mitra_id)
    assert off > made
    await switch(world, mitra_id, is_active=False)
    assert await since(world, mitra_id) == off

    await switch(world, mitra_id, is_active=True)
    assert await since(world, mitra_id) > off


@pytest.mark.req("AV-13")
async def test_another_name_is_no_switch(world: World) -> None:
    """What is not is_active leaves the moment alone."""
    mitra_id = await world.mitra()
    made = await since(world, mitra_id)
    await world.rows("UPDATE auth.mitras SET display_name = 'Dewi' RETURNING mitra_id")
    assert await since(world, mitra_id) == made


@pytest.mark.req("AV-13")
async def test_rows_of_the_release_before(databases: Databases) -> None:
    """Whoever was there before the column keeps what is known; a reactivation was not written."""
    database = await databases.empty()
    async with database.admin() as admin:
        await admin.execute("SET search_path = auth; SET ROLE auth_migrate")
        await _apply(admin, upto="0005_pre_published.sql")
        kinds = {}
        for kind, version, off in (("fresh", 1, False), ("off", 2, True), ("back", 3, False)):
            kinds[kind] = new_id()
            await admin.execute(
                "INSERT INTO mitras (mitra_id, phone, display_name, created_at, created_by,"
                " version, is_active, deactivated_at)"
                " VALUES ($1, $2, 'x', '2026-01-01Z', $1, $3, NOT $4,"
                " CASE WHEN $4 THEN timestamptz '2026-01-31Z' END)",
                kinds[kind],
                f"+62811000000{version}",
                version,
                off,
            )
        await admin.execute((MIGRATIONS / "0006_pre_since.sql").read_text())
        rows = await admin.fetch(
            "SELECT mitra_id, changed_at FROM mitra_directory_v2($1::uuid[])", list(kinds.values())
        )
    known = {row["mitra_id"]: row["changed_at"] for row in rows}
    assert known[kinds["fresh"]].isoformat() == "2026-01-01T00:00:00+00:00"
    assert known[kinds["off"]].isoformat() == "2026-01-31T00:00:00+00:00"
    assert known[kinds["back"]] is None


async def _apply(admin: Any, *, upto: str) -> None:
    for file in sorted(MIGRATIONS.glob("*.sql"), key=lambda path: Path(path).name):
        if file.name <= upto:
            await admin.execute(file.read_text())
