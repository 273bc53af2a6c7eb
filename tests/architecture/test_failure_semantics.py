"""The page about failures names tests that exist."""

import re

from temani import layout

PAGE = layout.ROOT / "docs" / "reference" / "failure-semantics.md"
LINK = re.compile(r"\]\((?P<path>[^)]+\.py)\)")
NAMED = re.compile(r"::(?P<test>test_\w+)")


def test_every_failure_names_a_test_that_exists() -> None:
    """Each `file::test` of the page is a function in a file that the page links to."""
    page = PAGE.read_text()
    linked = [(PAGE.parent / found["path"]).resolve() for found in LINK.finditer(page)]
    assert all(path.is_file() for path in linked)
    written = "\n".join(path.read_text() for path in set(linked))
    named = [found["test"] for found in NAMED.finditer(page)]

    assert len(named) > 20
    assert [one for one in named if f"def {one}(" not in written] == []
