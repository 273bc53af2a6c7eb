"""How commands speak: text for people, one JSON document for programs with --json."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import asyncpg

from common.migrate import MigrationError
from temani.binaries import ProgramMissing
from temani.elsewhere import NoServer
from temani.operators import OperatorFailed
from temani.seeding import SeedFailed
from temani.servers import StartFailed

# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing runs here (or something does already).
OK, FAILED, USAGE, NOT_NOW = 0, 1, 2, 3

Say = Callable[[str], None]


class Failed(Exception):
    """A command could not do its work; the message is for the person who asked."""


# What can go wrong without a mistake in this program: told in a line, without a traceback.
EXPECTED: tuple[type[Exception], ...] = (
    Failed,
    MigrationError,
    OperatorFailed,
    SeedFailed,
    StartFailed,
    NoServer,
    ProgramMissing,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    aiohttp.ClientError,
    OSError,
)


def tell(args: argparse.Namespace, value: Any, text: Callable[[], str]) -> None:
    """Print the value as JSON with --json, else the text."""
    print(json.dumps(value, indent=2, default=str) if args.json else text())


def complain(message: str) -> None:
    """Print to standard error."""
    print(message, file=sys.stderr)


def table(rows: list[list[str]]) -> str:
    """Return rows in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
