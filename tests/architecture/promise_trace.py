"""Print every promise with the tests that prove it: `make trace`.

Reads `docs/reference/promises.md` and the `@pytest.mark.req(...)` marks of every test file by
their syntax alone, so nothing is imported and a broken test module still shows.
"""

import argparse
import ast
import functools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMISES = ROOT / "docs" / "reference" / "promises.md"
LINE = re.compile(r"^- (?P<id>[A-Z]{2}-\d{2}) \((?P<kind>base|beyond)\)")
TEST_HOMES = ("libs", "services", "deploy", "tests")


@dataclass(frozen=True)
class Promise:
    """One numbered promise and the tests that carry its id."""

    id: str
    kind: str
    tests: tuple[str, ...]


def promised() -> dict[str, str]:
    """Return each promise id with its kind, in the order of the page."""
    lines = (LINE.match(line) for line in PROMISES.read_text(encoding="utf-8").splitlines())
    return {match["id"]: match["kind"] for match in lines if match}


@functools.cache
def marks() -> tuple[tuple[str, str], ...]:
    """Return (promise id, `path::test`) for every mark in every test file."""
    return tuple(_marks())


def _marks() -> Iterator[tuple[str, str]]:
    for home in TEST_HOMES:
        for path in sorted((ROOT / home).rglob("test_*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from _marks_in(tree, path.relative_to(ROOT).as_posix(), inherited=())


def _marks_in(
    scope: ast.Module | ast.ClassDef, prefix: str, *, inherited: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    shared = inherited + tuple(_module_marks(scope))
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            ids = shared + tuple(i for d in node.decorator_list for i in _ids(d))
            yield from _marks_in(node, f"{prefix}::{node.name}", inherited=ids)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            ids = shared + tuple(i for d in node.decorator_list for i in _ids(d))
            if node.name.startswith("test"):
                yield from ((i, f"{prefix}::{node.name}") for i in dict.fromkeys(ids))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _machine_marks(node, prefix)


def _module_marks(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in scope.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            yield from _ids(node.value)


def _machine_marks(node: ast.Assign | ast.AnnAssign, prefix: str) -> Iterator[tuple[str, str]]:
    """Marks put on a Hypothesis machine: `TestX = pytest.mark.req("…")(Machine.TestCase)`."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [t.id for t in targets if isinstance(t, ast.Name) and t.id.startswith("Test")]
    if names and node.value is not None:
        yield from ((i, f"{prefix}::{names[0]}") for i in _ids(node.value))


def _ids(node: ast.expr) -> Iterator[str]:
    for call in ast.walk(node):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "req"
        ):
            yield from (
                a.value
                for a in call.args
                if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def trace() -> list[Promise]:
    """Return every promise with its tests, in the order of the page."""
    found: dict[str, list[str]] = {}
    for promise_id, test in marks():
        found.setdefault(promise_id, []).append(test)
    return [Promise(i, kind, tuple(found.get(i, ()))) for i, kind in promised().items()]


def unknown() -> list[tuple[str, str]]:
    """Return marks that name a promise the page does not have."""
    known = promised()
    return [(i, test) for i, test in marks() if i not in known]


def main() -> int:
    """Print the trace; exit 1 when a mark names an unknown promise."""
    parser = argparse.ArgumentParser(description="Print every promise with the tests that prove it")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--missing", action="store_true", help="only promises without a test")
    options = parser.parse_args()
    rows = [p for p in trace() if not (options.missing and p.tests)]
    if options.json:
        sys.stdout.write(json.dumps([p.__dict__ for p in rows], indent=2) + "\n")
    else:
        for p in rows:
            tests = " ".join(p.tests)
            sys.stdout.write(f"{p.id}  {p.kind:<6}  {len(p.tests):>2}  {tests}".rstrip() + "\n")
    strangers = unknown()
    for promise_id, test in strangers:
        sys.stderr.write(f"unknown promise {promise_id} in {test}\n")
    return 1 if strangers else 0


if __name__ == "__main__":
    sys.exit(main())
