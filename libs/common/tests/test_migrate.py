"""Migrations are applied once each, in order, whoever runs them and however often."""

import asyncio
from pathlib import Path

import pytest
from tests.support import TestDatabase

from common.migrate import MigrationError, Stage, migrate, read, schema_version, statements
from common.testing import eventually

_PLUMBING = 4


def write(folder: Path, name: str, text: str) -> Path:
    """Put a file into the folder."""
    file = folder / name
    file.write_text(text)
    return file


async def run(database: TestDatabase, folder: Path, stage: Stage = "all") -> list[str]:
    """Migrate the schema auth."""
    return await migrate(database.url("auth_migrate"), service="auth", folder=folder, stage=stage)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files: two before new code, one after it."""
    write(tmp_path, "0001_pre_things.sql", "CREATE TABLE things (id int PRIMARY KEY, n int);")
    write(
        tmp_path,
        "0002_pre_index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY things_n ON things (n);",
    )
    write(tmp_path, "0003_post_not_null.sql", "ALTER TABLE things ALTER n SET NOT NULL;")
    return tmp_path


async def test_files_are_applied_once(empty_database: TestDatabase, folder: Path) -> None:
    """The first run applies the plumbing and every file, the second nothing."""
    applied = await run(empty_database, folder)

    assert applied[_PLUMBING:] == ["0001_pre_things", "0002_pre_index", "0003_post_not_null"]
    assert await run(empty_database, folder) == []
    async with empty_database.connect("auth") as connection:
        assert await schema_version(connection, "auth") == 3
        owner = await connection.fetchval(
            "SELECT tableowner FROM pg_tables WHERE schemaname = 'auth' AND tablename = 'things'"
        )
    assert owner == "auth_owner"


async def test_the_application_may_use_but_not_change_the_schema(
    empty_database: TestDatabase, folder: Path
) -> None:
    """The role of the service reads and writes rows of what was made, and nothing more."""
    await run(empty_database, folder)
    async with empty_database.connect("auth") as connection:
        await connection.execute("INSERT INTO things (id, n) VALUES (1, 2)")
        await connection.execute(
            "INSERT INTO outbox (subject, body) VALUES ('evt.auth.a.v1', '{}')"
        )
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            await connection.execute("DROP TABLE things")


async def test_four_runners_at_once_all_succeed(empty_database: TestDatabase, folder: Path) -> None:
    """With a concurrent index build among the files no runner fails and each file runs once."""
    results = await asyncio.gather(*(run(empty_database, folder) for _ in range(4)))

    assert sorted(len(result) for result in results) == [0, 0, 0, 3 + _PLUMBING]


async def test_stages_are_applied_apart(empty_database: TestDatabase, folder: Path) -> None:
    """`pre` leaves the post files for after the new code."""
    assert "0003_post_not_null" not in await run(empty_database, folder, stage="pre")
    assert await run(empty_database, folder, stage="post") == ["0003_post_not_null"]


async def test_a_changed_file_is_refused(empty_database: TestDatabase, folder: Path) -> None:
    """What was applied must stay as it was."""
    await run(empty_database, folder)
    write(folder, "0001_pre_things.sql", "CREATE TABLE things (id bigint PRIMARY KEY, n int);")

    with pytest.raises(MigrationError, match="0001_pre_things was changed"):
        await run(empty_database, folder)


async def test_a_newer_database_is_no_obstacle(empty_database: TestDatabase, folder: Path) -> None:
    """An older release beside a newer schema starts: it knows fewer files, not other ones."""
    await run(empty_database, folder)
    (folder / "0003_post_not_null.sql").unlink()

    assert await run(empty_database, folder) == []


async def test_a_failing_file_leaves_nothing(empty_database: TestDatabase, folder: Path) -> None:
    """A file that fails half-way is rolled back and named; the ones before it stay."""
    write(folder, "0004_pre_bad.sql", "CREATE TABLE half (id int); SELECT 1 / 0;")

    with pytest.raises(MigrationError, match="0004_pre_bad: division by zero"):
        await run(empty_database, folder)
    async with empty_database.connect("auth") as connection:
        assert await connection.fetchval("SELECT to_regclass('auth.half')") is None
        assert await schema_version(connection, "auth") == 3


async def test_a_busy_table_is_waited_for_in_short_steps(
    empty_database: TestDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a long reader the change gives up its place in the queue and tries again."""
    monkeypatch.setattr("common.migrate._LOCK_TIMEOUT", "300ms")
    await run(empty_database, folder)
    write(folder, "0005_pre_column.sql", "ALTER TABLE things ADD COLUMN note text;")
    async with empty_database.admin() as reader, empty_database.connect("auth") as other:
        holding = reader.transaction()
        await holding.start()
        await reader.fetch("SELECT id FROM auth.things")
        changing = asyncio.ensure_future(run(empty_database, folder))

        async def in_line() -> bool:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
            return await reader.fetchval(waiting, "auth.things") > 0

        for _ in range(2):
            await eventually(in_line)
            # Its own limit for a lock, 2 s, would end it behind a change that keeps its place.
            await other.fetch("SELECT id FROM things")
        await holding.rollback()
        async with asyncio.timeout(40):
            assert await changing == ["0005_pre_column"]


async def test_a_broken_index_is_built_anew(empty_database: TestDatabase, folder: Path) -> None:
    """A concurrent build that failed once does not leave its invalid index in place."""
    await run(empty_database, folder)
    async with empty_database.admin() as connection:
        await connection.execute("INSERT INTO auth.things VALUES (1, 1), (2, 1)")
        with pytest.raises(Exception, match="could not create unique index"):
            await connection.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY things_once ON auth.things (n)"
            )
        await connection.execute(
            "DELETE FROM auth.things; ALTER INDEX auth.things_once OWNER TO auth_owner"
        )
    write(
        folder,
        "0006_pre_once.sql",
        "-- no-transaction\n"
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_once ON things (n);",
    )

    assert await run(empty_database, folder) == ["0006_pre_once"]
    async with empty_database.admin() as connection:
        assert await connection.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'auth.things_once'::regclass"
        )


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("1_pre_x.sql", "SELECT 1", "name it NNNN"),
        ("0001_x.sql", "SELECT 1", "name it NNNN"),
        ("0001_pre_x.sql", "-- nothing", "no statement"),
        ("0001_pre_x.sql", "-- no-transaction\nSELECT 1; SELECT 2;", "one statement, not 2"),
        ("0001_pre_x.sql", "CREATE INDEX CONCURRENTLY i ON t (a);", "needs the first line"),
    ],
)
def test_unsafe_files_are_refused(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    """Stray names, empty files and statements that cannot run as written never start."""
    write(tmp_path, name, text)
    with pytest.raises(MigrationError, match=complaint):
        read(tmp_path, source="auth")


def test_numbers_are_given_once(tmp_path: Path) -> None:
    """Two files with one number have no order."""
    write(tmp_path, "0001_pre_a.sql", "SELECT 1")
    write(tmp_path, "0001_post_b.sql", "SELECT 1")
    with pytest.raises(MigrationError, match="taken"):
        read(tmp_path, source="auth")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("-- a; b\n", 0),
        ("SELECT ';'; /* ; */ SELECT 2;", 2),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$ SELECT 1; SELECT 2; $body$", 1),
        ('SELECT "a;b" FROM t', 1),
    ],
)
def test_statements_are_counted_past_quotes(text: str, count: int) -> None:
    """Semicolons in comments, texts and bodies end nothing."""
    assert statements(text) == count
