"""What Postgres does when it answers for the mirror: the plans that it really ran at 20,000.

On the real tables of auth, availability and chat, because a plan depends on their indexes.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.support import Databases

ONLINE, OFFLINE = 10_000, 10_000
# Nobody goes stale while a slow machine makes its plans.
FRESH_MS = 3_600_000

_PEOPLE = """
INSERT INTO auth.mitras (mitra_id, phone, display_name, created_at, created_by)
SELECT gen_random_uuid(), '+62813' || lpad(n::text, 8, '0'), 'Mitra ' || n, now(), gen_random_uuid()
FROM generate_series(1, $1::int) AS n
"""
_STATUSES = """
INSERT INTO availability.mitra_status
    (mitra_id, is_online, went_online_at, last_heartbeat_at)
SELECT mitra_id, n <= $1, now(), now()
FROM (SELECT mitra_id, row_number() OVER (ORDER BY mitra_id) AS n FROM auth.mitras) AS m
"""
_PLACES = """
INSERT INTO chat.mitra_load (mitra_id, capacity, capacity_from)
SELECT mitra_id, 3, 'default' FROM auth.mitras
"""
# Each has two sessions behind her, and one in ten has one going on.
_SESSIONS = """
INSERT INTO chat.sessions
    (request_id, customer_id, mitra_id, state, slot, tier_id, tier_version, duration_seconds,
     price_idr, topic, sensitivity, activated_at, ends_at, completed_at, ended_reason)
SELECT gen_random_uuid(), gen_random_uuid(), m.mitra_id,
       CASE n WHEN 3 THEN 'active' ELSE 'completed' END, CASE n WHEN 3 THEN 1 END,
       'short', 1, 1800, 50000, '', 'normal', now(), now() + interval '1 hour',
       CASE WHEN n < 3 THEN now() END, CASE WHEN n < 3 THEN 'done' END
FROM (SELECT mitra_id, row_number() OVER () AS place FROM auth.mitras) AS m,
     generate_series(1, 3) AS n
WHERE n < 3 OR place % 10 = 0
"""


@dataclass(frozen=True)
class Node:
    """One step of a plan that was run: what it read, how, and how many rows."""

    kind: str
    table: str
    rows: int

    @property
    def is_whole(self) -> bool:
        """Whether it read a table from one end to the other."""
        return self.kind == "Seq Scan"


class Explained:
    """A session of a superuser in which Postgres tells the plan of each nested statement."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._told: list[str] = []

    async def begin(self) -> None:
        """Tell plans from now on."""
        self._connection.add_log_listener(lambda _, message: self._told.append(message.message))
        await self._connection.execute(
            "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;"
            " SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off;"
            " SET auto_explain.log_nested_statements = on; SET auto_explain.log_format = 'json';"
            " SET auto_explain.log_level = 'notice'"
        )

    async def run(self, query: str, *args: object) -> tuple[list[asyncpg.Record], list[Node]]:
        """Return the answer and every step that read a table, in all nested statements."""
        self._told.clear()
        rows = await self._connection.fetch(query, *args)
        nodes: list[Node] = []
        for message in self._told:
            _, plan, text = message.partition("plan:")
            if plan:
                nodes += _scans(json.loads(text)["Plan"])
        return rows, nodes


def _scans(plan: dict[str, Any]) -> Iterator[Node]:
    if "Relation Name" in plan:
        removed = plan.get("Rows Removed by Filter", 0)
        rows = round((plan["Actual Rows"] + removed) * plan["Actual Loops"])
        yield Node(plan["Node Type"], f"{plan.get('Schema', '')}{plan['Relation Name']}", rows)
    for child in plan.get("Plans", []):
        yield from _scans(child)


def _read(nodes: list[Node], table: str) -> int:
    return sum(node.rows for node in nodes if node.table == table)


def _whole(nodes: list[Node]) -> list[Node]:
    """Return the tables that were read from end to end; those of one row are no matter."""
    return [node for node in nodes if node.is_whole and node.table not in {"pg_epoch", "limits"}]


@pytest.fixture(scope="module")
async def many(databases: Databases) -> AsyncIterator[str]:
    """A database with 20,000 mitras, half of them online; returns the superuser's address."""
    database = await databases.fresh("auth", "availability", "chat")
    async with database.admin() as admin:
        # The rules of a session's life are others' tests; here only rows and indexes matter.
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(_PEOPLE, ONLINE + OFFLINE)
        await admin.execute(_STATUSES, ONLINE)
        await admin.execute(_PLACES)
        await admin.execute(_SESSIONS)
        await admin.execute("VACUUM ANALYZE")
    yield database.admin_url
    await databases.drop(database)


@pytest.fixture
async def explained(many: str) -> AsyncIterator[Explained]:
    """A session in which plans are told; whatever a test changes is rolled back."""
    connection = await asyncpg.connect(many)
    changes = connection.transaction()
    await changes.start()
    # Everybody beat just now.
    await connection.execute(
        "UPDATE availability.mitra_status SET last_heartbeat_at = clock_timestamp() WHERE is_online"
    )
    session = Explained(connection)
    await session.begin()
    yield session
    await changes.rollback()
    await connection.close()


@pytest.mark.req("AV-07")
async def test_finding_fifty_reads_a_few_hundred(explained: Explained) -> None:
    """However many are there: two bites of the ring, and the facts of these.

    Also the tenth time, when Postgres may have changed to a plan for any argument.
    """
    for _ in range(10):
        rows, nodes = await explained.run(
            "SELECT * FROM availability.find_available_v1(50, $1, $2)", [], FRESH_MS
        )
    assert len(rows) == 50
    assert _whole(nodes) == []
    assert 0 < _read(nodes, "mitra_status") <= 500
    assert 0 < _read(nodes, "mitras") <= 250
    assert _read(nodes, "sessions") <= 250


@pytest.mark.req("AV-07")
async def test_finding_somebody_when_nobody_is_free_looks_once_round(
    explained: Explained,
) -> None:
    """The dearest case: everybody online is looked at once, nobody offline is."""
    await explained._connection.execute(
        "SET LOCAL session_replication_role = replica;"
        " UPDATE chat.mitra_load SET capacity = 1; INSERT INTO chat.sessions"
        " (request_id, customer_id, mitra_id, state, slot, tier_id, tier_version, duration_seconds,"
        "  price_idr, topic, sensitivity, activated_at, ends_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), mitra_id, 'active', 1, 'short', 1, 1800,"
        " 50000, '', 'normal', now(), now() FROM chat.mitra_load"
        " ON CONFLICT DO NOTHING"
    )
    rows, nodes = await explained.run(
        "SELECT * FROM availability.find_available_v1(50, $1, $2)", [], FRESH_MS
    )
    assert rows == []
    # Each bite asks the index for both laps.
    assert ONLINE <= _read(nodes, "mitra_status") <= 4 * ONLINE
    assert ONLINE <= _read(nodes, "mitras") <= ONLINE + 200


@pytest.mark.req("AV-07")
async def test_whether_a_few_are_reachable_reads_only_them(explained: Explained) -> None:
    """A blast's fifty cost fifty rows of each table, by their keys."""
    some = await explained._connection.fetch(
        "SELECT mitra_id FROM availability.mitra_status ORDER BY random() LIMIT 50"
    )
    mitras: list[UUID] = [row["mitra_id"] for row in some]
    for _ in range(10):
        rows, nodes = await explained.run(
            "SELECT * FROM availability.is_reachable_v1($1, $2)", mitras, FRESH_MS
        )
    assert {row["mitra_id"] for row in rows} == set(mitras)
    assert _whole(nodes) == []
    for table in ("mitra_status", "mitras", "mitra_load"):
        assert _read(nodes, table) == 50
    assert _read(nodes, "sessions") <= 100


@pytest.mark.req("AV-07")
async def test_counting_reads_each_table_once_at_the_most(explained: Explained) -> None:
    """It grows with how many there are, and no faster: that is why equal askers share it."""
    rows, nodes = await explained.run("SELECT * FROM availability.counts_v1($1)", FRESH_MS)
    assert rows[0]["online"] == rows[0]["reachable"] == ONLINE
    for table in ("mitra_status", "mitras", "mitra_load", "sessions"):
        assert 0 < _read(nodes, table) <= ONLINE + OFFLINE


@pytest.mark.req("AV-12")
async def test_the_loads_read_each_table_once_at_the_most(explained: Explained) -> None:
    """They grow with how many are online, as the counts do, and ask nobody's directory."""
    rows, nodes = await explained.run("SELECT * FROM availability.loads_v1()")
    assert sum(row["mitras"] for row in rows) == ONLINE
    for table in ("mitra_status", "mitra_load", "sessions"):
        assert 0 < _read(nodes, table) <= ONLINE + OFFLINE
    assert _read(nodes, "mitras") == 0
