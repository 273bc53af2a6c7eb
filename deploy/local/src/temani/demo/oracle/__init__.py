"""The oracle: checks the invariants from outside, against the database and the bots' histories."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from temani.demo.oracle import (
    deadlines,
    history,
    messages,
    mirror,
    money,
    shut_out,
    silence,
    telling,
    winners,
)
from temani.demo.oracle.report import INVARIANTS, Report
from temani.demo.oracle.truth import Truth, open_truth

__all__ = ["INVARIANTS", "Report", "check", "check_quickly"]

GRACE_SECONDS = 8.0
SETTLE_SECONDS = 30.0


async def check(
    admin_dsn: str,
    histories: Iterable[Path] = (),
    *,
    valkey_url: str | None = None,
    orders: Sequence[dict[str, Any]] | None = None,
    grace_seconds: float = GRACE_SECONDS,
    settle_seconds: float = SETTLE_SECONDS,
) -> Report:
    """Check every invariant; `histories` are files or folders of the bots' JSON lines.

    What only needs time (publishing, the mirror, money on its way) is looked at again until it
    holds or `settle_seconds` are over. Without `valkey_url` I3 is skipped, without `orders` (the
    provider's own list) that part of I7.
    """
    record = await asyncio.to_thread(history.load, list(histories))
    report = Report()
    if valkey_url is None:
        report.skip("I3", "no Valkey given")
    else:
        report.add("I3", await mirror.equal(admin_dsn, valkey_url, settle=settle_seconds))
    deadline = time.monotonic() + settle_seconds
    while True:
        async with open_truth(admin_dsn) as truth:
            slow = {
                "I4": await telling.published(truth),
                "I5": await deadlines.kept(truth, grace_seconds=grace_seconds),
                "I7": await money.balanced(truth, orders),
            }
        if not any(slow.values()) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.3)
    for name, found in slow.items():
        report.add(name, found)
    async with open_truth(admin_dsn) as truth:
        await _settled(truth, record, report)
    return report


async def _settled(truth: Truth, record: history.Record, report: Report) -> None:
    report.add("I1", await winners.one_winner(truth, record))
    report.add("I2", await winners.within_capacity(truth))
    report.add("I4", await telling.told_once(truth))
    report.add("I6", await messages.complete(truth, record))
    report.add("I8", await telling.legal_moves(truth, record))
    report.add("I9", await shut_out.shut_out(truth, record))
    report.add("I10", await silence.believed(truth, record))
    report.checked = {
        "operations": sum(len(found) for found in record.operations.values()),
        "sightings": sum(len(found) for found in record.sightings.values()),
        "sessions": len(await truth.rows("session_rows")),
        "requests": len(await truth.rows("request_rows")),
        "messages": len(await truth.rows("messages")),
        "payments": len(await truth.rows("payments")),
    }


async def check_quickly(admin_dsn: str) -> Report:
    """Check, in the middle of a run, what must hold at every moment: I1, I2 and I8."""
    report, nobody = Report(), history.Record()
    async with open_truth(admin_dsn) as truth:
        report.add("I1", await winners.one_winner(truth, nobody))
        report.add("I2", await winners.within_capacity(truth))
        report.add("I8", await telling.legal_moves(truth, nobody))
    return report
