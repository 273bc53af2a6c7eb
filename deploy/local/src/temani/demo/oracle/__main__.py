"""`python -m temani.demo.oracle --database-url … --history folder`: exit 1 on a violation."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temani.demo.oracle import GRACE_SECONDS, INVARIANTS, SETTLE_SECONDS, Report, check
from temani.demo.orders import fetch_orders

OK, VIOLATED = 0, 1


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="python -m temani.demo.oracle", description=__doc__)
    made.add_argument("--database-url", required=True, help="address for a superuser")
    made.add_argument("--history", action="append", default=[], type=Path, metavar="PLACE")
    made.add_argument("--valkey-url", help="compare the mirror too (I3)")
    made.add_argument("--providers-url", help="compare the provider's orders too (I7)")
    made.add_argument("--grace", type=float, default=GRACE_SECONDS, metavar="SECONDS")
    made.add_argument("--settle", type=float, default=SETTLE_SECONDS, metavar="SECONDS")
    made.add_argument("--json", action="store_true")
    return made


async def run(args: argparse.Namespace) -> Report:
    """Check everything that the arguments allow."""
    orders: list[dict[str, Any]] | None = None
    if args.providers_url:
        orders = await fetch_orders(args.providers_url)
    return await check(
        args.database_url,
        args.history,
        valkey_url=args.valkey_url,
        orders=orders,
        grace_seconds=args.grace,
        settle_seconds=args.settle,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Check, print, and return the exit code."""
    args = parser().parse_args(argv)
    report = asyncio.run(run(args))
    if args.json:
        values = {
            "ok": report.ok,
            "invariants": report.outcomes(),
            "violations": report.texts,
            "checked": report.checked,
        }
        print(json.dumps(values, indent=2))
    else:
        for name, word in report.outcomes().items():
            print(f"{name}  {INVARIANTS[name]:<45} {word}")
        for text in report.texts:
            print(f"  ✗ {text}")
    return OK if report.ok else VIOLATED


if __name__ == "__main__":
    sys.exit(main())
