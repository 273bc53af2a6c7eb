"""No service reaches another's data except through what that service publishes.

The attempts are made from the catalogue, so a new table, view, sequence or function is tried
without anybody naming it here.
"""

from dataclasses import dataclass
from itertools import product

import asyncpg
import pytest
from tests.support import Databases, TestDatabase

SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")
READ_AND_WRITE = {
    "SELECT": "SELECT 1 FROM {name} LIMIT 1",
    "INSERT": "INSERT INTO {name} DEFAULT VALUES",
    "UPDATE": "UPDATE {name} SET {column} = {column}",
    "DELETE": "DELETE FROM {name}",
    "TRUNCATE": "TRUNCATE {name}",
    "ALTER": "ALTER TABLE {name} ADD COLUMN planted int",
    "DROP": "DROP TABLE {name}",
}

# What each service publishes, and to whom. A grant that is not here fails the test, and so does
# a line here that is not granted: the list is the truth for readers.
PUBLISHED: dict[str, set[str]] = {
    "auth.mitra_directory_v1": {"availability", "pairing", "chat", "sweeper"},
    "auth.mitra_directory_v2": {"availability"},
    "auth.customer_directory_v1": {"pairing", "chat"},
    "auth.revoked_logins_v1": {"availability", "pairing", "chat", "sweeper"},
    "auth.due_v1": {"sweeper"},
    "availability.find_available_v1": {"pairing"},
    "availability.is_reachable_v1": {"pairing", "chat"},
    "availability.counts_v1": {"pairing", "sweeper"},
    # For availability alone, through libs/mirror: no other service shows loads.
    "availability.loads_v1": set(),
    "availability.mirror_rows_v1": {"pairing", "chat", "sweeper"},
    "availability.mirror_rows_of_v1": {"pairing", "chat", "sweeper"},
    "availability.take_seeding_v1": {"sweeper"},
    "availability.release_seeding_v1": {"sweeper"},
    "availability.record_beats_v1": {"pairing", "chat", "sweeper"},
    "availability.note_drift_v1": {"pairing", "chat", "sweeper"},
    "availability.note_look_v1": {"sweeper"},
    "availability.due_v1": {"sweeper"},
    "availability.service_plan_v1": {"pairing"},
    "pairing.reopen_request_v1": {"chat"},
    "pairing.due_v1": {"sweeper"},
    "chat.mitra_load_v1": {"availability", "pairing"},
    "chat.mitra_load_v2": {"availability"},
    "chat.tier_v1": {"pairing"},
    "chat.open_session_v1": {"pairing"},
    "chat.session_of_request_v1": {"pairing"},
    "chat.request_ended_v1": {"pairing"},
    "chat.due_v1": {"sweeper"},
    "sweeper.brake_v1": {"availability"},
    "sweeper.confirm_brake_v1": {"availability"},
}


@dataclass(frozen=True)
class Relation:
    """A table of one schema with a column to aim at."""

    schema: str
    name: str
    column: str


async def relations(database: TestDatabase) -> list[Relation]:
    """List every table and view of the services' schemas."""
    async with database.admin() as admin:
        rows = await admin.fetch(
            """SELECT n.nspname AS schema, c.relname AS name, min(a.attname) AS column
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm')
                GROUP BY 1, 2 ORDER BY 1, 2""",
            list(SERVICES),
        )
    return [Relation(**row) for row in rows]


async def functions(database: TestDatabase) -> dict[str, str]:
    """Map each function of the services' schemas to a call of it with NULLs."""
    async with database.admin() as admin:
        rows = await admin.fetch(
            """SELECT p.oid::regprocedure::text AS signature, n.nspname AS schema,
                      p.proname AS name, p.prorettype = 'trigger'::regtype AS is_trigger,
                      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t) AS types
                 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname = ANY($1)""",
            list(SERVICES),
        )
    return {
        f"{row['schema']}.{row['name']}": (
            f"SELECT {row['schema']}.{row['name']}("
            + ", ".join(f"NULL::{kind}" for kind in row["types"])
            + ")"
        )
        for row in rows
        if not row["is_trigger"]
    }


async def refused(connection: asyncpg.Connection, statement: str) -> bool:
    """Try a statement in a transaction that is always rolled back; say whether it was refused."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.PostgresError:
        return False
    else:
        return False
    finally:
        await attempt.rollback()


@pytest.mark.req("OP-04")
@pytest.mark.parametrize("role", SERVICES)
async def test_no_service_touches_a_foreign_table(databases: Databases, role: str) -> None:
    """Every verb on every table of every other schema is refused to every role."""
    database = await databases.shared()
    targets = [r for r in await relations(database) if r.schema != role]
    assert {t.schema for t in targets} == set(SERVICES) - {role}

    async with database.connect(role) as connection:
        open_doors = [
            f"{verb} {target.schema}.{target.name}"
            for target, (verb, sql) in product(targets, READ_AND_WRITE.items())
            if not await refused(
                connection,
                sql.format(name=f"{target.schema}.{target.name}", column=target.column),
            )
        ]

    assert open_doors == []


@pytest.mark.req("OP-04")
@pytest.mark.parametrize("role", SERVICES)
async def test_only_published_functions_can_be_called(databases: Databases, role: str) -> None:
    """A role may execute exactly the foreign functions that are published to it."""
    database = await databases.shared()
    calls = await functions(database)
    foreign = {name: call for name, call in calls.items() if not name.startswith(f"{role}.")}
    assert set(PUBLISHED) <= set(calls), set(PUBLISHED) - set(calls)

    async with database.connect(role) as connection:
        callable_now = {
            name for name, call in foreign.items() if not await refused(connection, call)
        }

    assert callable_now == {name for name, readers in PUBLISHED.items() if role in readers}


@pytest.mark.req("OP-04")
async def test_published_functions_are_sealed(databases: Databases) -> None:
    """Each runs as an owner that cannot log in, with a search path nobody else can bend."""
    database = await databases.shared()
    async with database.admin() as admin:
        rows = await admin.fetch(
            """SELECT n.nspname || '.' || p.proname AS name, p.prosecdef AS definer,
                      r.rolcanlogin AS owner_logs_in, r.rolname AS owner, l.lanname AS language,
                      coalesce(array_to_string(p.proconfig, ','), '') AS config,
                      n.nspname AS schema
                 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                 JOIN pg_roles r ON r.oid = p.proowner JOIN pg_language l ON l.oid = p.prolang
                WHERE n.nspname || '.' || p.proname = ANY($1)""",
            list(PUBLISHED),
        )

    for row in rows:
        assert row["definer"], row["name"]
        assert not row["owner_logs_in"], row["name"]
        assert row["owner"] == f"{row['schema']}_owner", row["name"]
        assert row["language"] == "plpgsql", row["name"]
        path = row["config"].replace(" ", "").replace('"', "")
        assert f"search_path={row['schema']},pg_temp" in path, row["name"]


@pytest.mark.req("OP-04")
@pytest.mark.parametrize(
    "order", [SERVICES, SERVICES[::-1], ("chat", "sweeper", "pairing", "auth", "availability")]
)
async def test_services_migrate_in_any_order(databases: Databases, order: tuple[str, ...]) -> None:
    """A database migrated in another order offers the same functions."""
    database = await databases.empty()
    for service in order:
        await database.migrate(service)

    assert set(PUBLISHED) <= set(await functions(database))
