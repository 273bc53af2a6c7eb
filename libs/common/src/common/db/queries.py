"""Named queries: SQL lives in .sql files, each under a name, its arguments and a sentence."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

_HEADER = re.compile(r"^--\s*([a-z_][a-z0-9_]*)\s*\(([^)]*)\)\s*(?:—|--?|:)\s*(\S.*)$")
_OPEN_HEADER = re.compile(r"^--\s*[a-z_][a-z0-9_]*\s*\([^)]*$")
_PARAMETER = re.compile(r"\$(\d+)")
_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)


class QueryError(Exception):
    """A file of named queries breaks the rules."""


class Queries(Mapping[str, str]):
    """The queries of a file or a folder, by name."""

    def __init__(self, queries: Mapping[str, str]) -> None:
        self._queries = dict(queries)

    @classmethod
    def load(cls, folder_or_file: Path) -> Self:
        """Read `-- name(arg, arg) — sentence` blocks; refuse twins and miscounted arguments."""
        files = (
            sorted(folder_or_file.glob("*.sql")) if folder_or_file.is_dir() else [folder_or_file]
        )
        if not files:
            raise QueryError(f"{folder_or_file} holds no .sql file.")
        queries: dict[str, str] = {}
        for file in files:
            for name, arguments, text in _blocks(file):
                if name in queries:
                    raise QueryError(f"{file}: {name} is there twice.")
                _check(file, name, arguments, text)
                queries[name] = text
        return cls(queries)

    def __getitem__(self, name: str) -> str:
        try:
            return self._queries[name]
        except KeyError:
            raise KeyError(f"There is no query named {name!r}.") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def _blocks(file: Path) -> Iterator[tuple[str, list[str], str]]:
    header: tuple[str, list[str]] | None = None
    body: list[str] = []
    for line in _joined_headers(file.read_text(encoding="utf-8")):
        match = _HEADER.match(line)
        if match is None:
            if header is None and line.strip() and not line.startswith("--"):
                raise QueryError(f"{file}: a statement stands before the first name: {line!r}")
            body.append(line)
            continue
        if header is not None:
            yield *header, _statement(file, header[0], body)
        arguments = [part.strip() for part in match[2].split(",") if part.strip()]
        header, body = (match[1], arguments), []
    if header is not None:
        yield *header, _statement(file, header[0], body)


def _joined_headers(text: str) -> Iterator[str]:
    """Give back the lines, with an argument list that spans several comment lines as one."""
    pending = ""
    for line in text.splitlines():
        if pending:
            if not line.startswith("--"):
                yield from (pending, line)
                pending = ""
                continue
            pending = f"{pending} {line.removeprefix('--').strip()}"
        elif _OPEN_HEADER.match(line):
            pending = line.rstrip()
        else:
            yield line
            continue
        if ")" in pending:
            yield pending
            pending = ""
    if pending:
        yield pending


def _statement(file: Path, name: str, lines: list[str]) -> str:
    # The comment below the header explains; the server need not read it with every call.
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        lines = lines[1:]
    text = "\n".join(lines).strip()
    while text.rsplit("\n", 1)[-1].startswith("--"):
        text = text.rpartition("\n")[0].rstrip()
    if not text:
        raise QueryError(f"{file}: {name} has no statement.")
    return text.rstrip(";").rstrip()


def _check(file: Path, name: str, arguments: list[str], text: str) -> None:
    if len(set(arguments)) != len(arguments):
        raise QueryError(f"{file}: {name} names an argument twice.")
    used = {int(number) for number in _PARAMETER.findall(_NOT_CODE.sub(" ", text))}
    if used != set(range(1, len(arguments) + 1)):
        raise QueryError(
            f"{file}: {name} names {len(arguments)} arguments, its statement uses "
            f"{sorted(used) or 'none'}."
        )
