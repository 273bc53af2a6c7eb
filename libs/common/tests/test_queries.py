"""Named queries are checked when they are loaded, not when they are used."""

from pathlib import Path

import pytest

from common.db import Queries, QueryError


def load(folder: Path, text: str) -> Queries:
    """Load one file with this text."""
    file = folder / "queries.sql"
    file.write_text(text)
    return Queries.load(file)


def test_blocks_become_statements(tmp_path: Path) -> None:
    """A name, its arguments and a sentence; comments below the header are not sent."""
    queries = load(
        tmp_path,
        """-- The queries of a test.

-- open_offers(request_id, now) — those still waiting
-- (a longer explanation)
SELECT id -- the offer
FROM offers
WHERE request_id = $1 AND expires_at > $2;

-- all_offers() — every one of them
SELECT id FROM offers;
""",
    )

    assert list(queries) == ["open_offers", "all_offers"]
    assert queries["open_offers"].startswith("SELECT id")
    assert queries["open_offers"].endswith("$2")
    assert queries["all_offers"] == "SELECT id FROM offers"


def test_a_long_argument_list_may_span_lines(tmp_path: Path) -> None:
    """The header goes on in the next comment line."""
    queries = load(tmp_path, "-- add(first,\n--     second) — both\nSELECT $1 + $2;")
    assert queries["add"] == "SELECT $1 + $2"


def test_a_folder_is_one_namespace(tmp_path: Path) -> None:
    """All files are read together, and a name may stand in one of them only."""
    (tmp_path / "a.sql").write_text("-- one() — one\nSELECT 1;")
    (tmp_path / "b.sql").write_text("-- two() — two\nSELECT 2;")
    assert set(Queries.load(tmp_path)) == {"one", "two"}

    (tmp_path / "c.sql").write_text("-- one() — again\nSELECT 1;")
    with pytest.raises(QueryError, match="twice"):
        Queries.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- one(a) — x\nSELECT 1;", "names 1 arguments"),
        ("-- one() — x\nSELECT $1;", "names 0 arguments"),
        ("-- one(a, b) — x\nSELECT $1, $3;", "names 2 arguments"),
        ("-- one(a, a) — x\nSELECT $1, $2;", "an argument twice"),
        ("-- one() — x\n", "no statement"),
        ("SELECT 1;", "before the first name"),
    ],
)
def test_mistakes_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """Miscounted arguments, twins, empty blocks and nameless statements never load."""
    with pytest.raises(QueryError, match=complaint):
        load(tmp_path, text)


def test_numbers_in_texts_are_not_arguments(tmp_path: Path) -> None:
    """Only code counts."""
    assert load(tmp_path, "-- one() — x\nSELECT '$1' /* $2 */;")


def test_a_missing_name_is_said_plainly(tmp_path: Path) -> None:
    """A typo in the code names itself."""
    queries = load(tmp_path, "-- one() — x\nSELECT 1;")
    with pytest.raises(KeyError, match="no query named 'won'"):
        queries["won"]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    """A wrong path must not load nothing in silence."""
    with pytest.raises(QueryError, match="holds no"):
        Queries.load(tmp_path)
