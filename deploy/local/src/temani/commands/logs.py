"""temani logs: which logs there are, the end of one or of all, and what comes."""

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temani import layout
from temani.commands import output
from temani.process import last_lines

ALL = "all"
_POLL_SECONDS = 0.2
_BESIDE = frozenset({"event", "msg", "level", "timestamp", "ts", "service", "logger", "exception"})
_IDS = frozenset({"request_id", "trace_id"})  # long, and for --raw


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    logs = commands.add_parser("logs", help="which logs there are; the log of one process, or all")
    logs.add_argument("service", nargs="?", help=f"a process as in the list, or {ALL!r}")
    logs.add_argument("-f", "--follow", action="store_true", help="stay and print what comes")
    logs.add_argument(
        "-n", "--lines", type=_count, default=40, help="how many old lines to print (default: 40)"
    )
    logs.add_argument("--raw", action="store_true", help="as they were written, with every id")
    logs.set_defaults(run=run_logs)


def run_logs(args: argparse.Namespace) -> int:
    """Run `temani logs`: without a process it lists them, or follows all with --follow."""
    files = {path.stem: path for path in sorted((layout.STATE / "logs").glob("*.log"))}
    if not files:
        raise output.Failed("there are no logs yet; start something with `make up`")
    if args.service is None and not args.follow:
        return _list(args, files)
    if args.service not in (None, ALL):
        if args.service not in files:
            known = ", ".join(files)
            raise output.Failed(f"there is no log of {args.service!r}; there are: {known}")
        files = {args.service: files[args.service]}
    for name, path in files.items():
        for line in last_lines(path, args.lines):
            _print(args, name, line, alone=len(files) == 1)
    if args.follow:
        for name, line in _follow(files):
            _print(args, name, line, alone=len(files) == 1)
    return output.OK


def _list(args: argparse.Namespace, files: dict[str, Path]) -> int:
    seen = {name: path.stat() for name, path in files.items()}
    value = [
        {
            "process": name,
            "file": str(files[name]),
            "bytes": seen[name].st_size,
            "written_at": datetime.fromtimestamp(seen[name].st_mtime, UTC).isoformat(
                "T", "seconds"
            ),
        }
        for name in files
    ]
    rows = [
        [
            name,
            _size(stat.st_size),
            f"{datetime.fromtimestamp(stat.st_mtime).astimezone():%H:%M:%S}",
        ]
        for name, stat in seen.items()
    ]
    table = output.table([["process", "size", "last written"], *rows])
    folder = next(iter(files.values())).parent
    advice = (
        f"files: {folder} (of the run before: {folder / 'before'})\n"
        "one of them: make logs S=chat   and what comes: make logs S=chat ARGS=-f   "
        f"all: make logs S={ALL} ARGS=-f"
    )
    output.tell(args, value, lambda: f"{table}\n\n{advice}")
    return output.OK


def _size(count: int) -> str:
    return f"{count} B" if count < 1024 else f"{count / 1024:.0f} KiB"


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: write how many lines, 0 or more")
    return int(text)


def _print(args: argparse.Namespace, name: str, line: str, *, alone: bool) -> None:
    if args.json:
        print(json.dumps({"process": name, "line": line}), flush=True)
        return
    for part in [line] if args.raw else readable(line):
        print(part if alone else f"{name:<14}│ {part}", flush=True)


def readable(line: str) -> list[str]:
    """Return a log line as a person reads it: time, level, what happened, then the values."""
    try:
        entry = json.loads(line)
    except ValueError:
        return [line]
    if not isinstance(entry, dict) or not (what := entry.get("event") or entry.get("msg")):
        return [line]
    values = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in entry.items()
        if key not in _BESIDE | _IDS
    ]
    head = f"{_clock(entry)} {entry.get('level', ''):<7} {what}"
    trace = str(entry.get("exception", "")).splitlines()
    return ["  ".join([head, *values]), *(f"    {each}" for each in trace)]


def _clock(entry: dict[str, Any]) -> str:
    """Return the time of day on this machine's clocks."""
    try:
        if "ts" in entry:
            at = datetime.fromtimestamp(float(entry["ts"]), UTC)
        else:
            at = datetime.fromisoformat(entry["timestamp"])
    except (KeyError, TypeError, ValueError):
        return "--:--:--"
    return f"{at.astimezone():%H:%M:%S}"


def _follow(files: dict[str, Path]) -> Iterator[tuple[str, str]]:
    places = {name: path.stat().st_size for name, path in files.items()}
    rest = dict.fromkeys(files, b"")
    while True:
        for name, path in files.items():
            try:
                with path.open("rb") as file:
                    # A new start begins a new file.
                    file.seek(places[name] if path.stat().st_size >= places[name] else 0)
                    fresh = file.read()
                    places[name] = file.tell()
            except FileNotFoundError:  # between two starts
                places[name] = 0
                continue
            *lines, rest[name] = (rest[name] + fresh).split(b"\n")
            for line in lines:
                yield name, line.decode(errors="replace")
        time.sleep(_POLL_SECONDS)
