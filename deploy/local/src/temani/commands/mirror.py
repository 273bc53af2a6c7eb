"""temani mirror: compare the mirror in Valkey with Postgres; see what drifted; rebuild it."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import aiohttp

from common import log
from common.clock import SystemClock
from common.db import Database, Unavailable
from mirror.errors import MirrorUnavailable
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.outcomes import Drift
from mirror.seeding import Seeder
from mirror.truth import Truth
from mirror.values import Limits, MirrorRow
from temani import elsewhere, running
from temani.commands import output
from temani.commands.control import as_operator
from temani.seeding import call

_BASE = "/api/control/availability"
_LOOK_SECONDS = 0.5
Json = dict[str, Any]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    words = commands.add_parser("mirror", help="Valkey's copy of who can work").add_subparsers(
        metavar="ACTION", required=True
    )
    diff = words.add_parser(
        "diff", help="every fact that the mirror has otherwise than Postgres; exit code 1 if any"
    )
    diff.set_defaults(run=run_diff)
    drift = words.add_parser(
        "drift", help="how the mirror is and what was mended; exit code 1 if Postgres answers"
    )
    drift.add_argument("--limit", type=_limit, default=20, help="how many rows (default: 20)")
    drift.set_defaults(run=run_drift)
    reseed = words.add_parser("reseed", help="rebuild the mirror from Postgres, as the operator")
    reseed.add_argument(
        "--wait", type=float, default=300.0, help="for how many seconds; 0: do not (default: 300)"
    )
    reseed.set_defaults(run=run_reseed)


def run_diff(args: argparse.Namespace) -> int:
    """Run `temani mirror diff`: exit code 1 when something differs."""
    mitras, found = asyncio.run(_diff(running.find()))
    keys = ("mitra_id", "fact", "postgres", "mirror")
    rows = [[_text(getattr(one, key)) for key in keys] for one in found]
    value = {
        "mitras": mitras,
        "differences": [dict(zip(keys, row, strict=True)) for row in rows],
    }
    table = output.table([["mitra", "fact", "Postgres", "mirror"], *rows])
    advice = "The reconcile mends this within 30 s; `temani mirror reseed` does it at once."
    output.tell(
        args, value, lambda: f"{table}\n{advice}" if rows else f"{mitras} mitras, no difference"
    )
    return output.FAILED if found else output.OK


def run_drift(args: argparse.Namespace) -> int:
    """Run `temani mirror drift`: exit code 1 when Postgres answers in place of the mirror."""
    report = asyncio.run(_drift(running.find(), args.limit))
    output.tell(args, report, lambda: _shown(report))
    return output.OK if report["mirror"]["state"] == "ok" else output.FAILED


def run_reseed(args: argparse.Namespace) -> int:
    """Run `temani mirror reseed`: exit code 1 when it could not be done."""
    done = asyncio.run(_reseed(running.find(), wait=args.wait))
    output.tell(args, done, lambda: _outcome(done))
    return output.FAILED if done["state"] == "failed" else output.OK


# --- diff --------------------------------------------------------------------------------------


class _Counted(Truth):
    """Postgres' facts, and how many mitras were read."""

    mitras = 0

    async def rows_after(self, after: UUID, limit: int) -> list[MirrorRow]:
        rows = await super().rows_after(after, limit)
        self.mitras += len(rows)
        return rows


async def _diff(stack: running.Running) -> tuple[int, list[Drift]]:
    log.configure("temani", level="error", fmt="console")
    # The sweeper may read the published rows of every mitra, and nothing else.
    db = await Database.connect(
        stack.service_environment("sweeper")["DATABASE_URL"], name="temani-mirror-diff", min_size=1
    )
    clock = SystemClock()
    link, truth = Link(stack.addresses.valkey_url, clock=clock), _Counted(db)
    mirror = Mirror(link, clock=clock, limits=Limits())
    seeder = Seeder(mirror=mirror, link=link, truth=truth, clock=clock)
    try:
        await _seeded(mirror)
        found = await seeder.diff()
        return truth.mitras, found
    except MirrorUnavailable as error:
        raise output.Failed(
            f"there is no mirror at {elsewhere.shown(stack.addresses.valkey_url)} to compare "
            f"({error}). Postgres answers meanwhile; `temani status` shows whether Valkey runs and "
            "who misses it; once it does, `temani mirror reseed` rebuilds the mirror"
        ) from None
    except Unavailable as error:
        raise output.Failed(f"Postgres cannot answer now ({error}); try again") from None
    finally:
        await link.close()
        await db.close()


async def _seeded(mirror: Mirror) -> None:
    """Make sure that there is a mirror; one that hears no beats can be compared all the same."""
    try:
        await mirror.seed()
    except MirrorUnavailable as error:
        if error.state != "deaf":
            raise


# --- drift -------------------------------------------------------------------------------------


async def _drift(stack: running.Running, limit: int) -> Json:
    async with as_operator(stack) as http:
        _, report = await call(http, "GET", f"{_BASE}/drift?limit={limit}", None, accept={200})
    return report


def _shown(report: Json) -> str:
    mirror = report["mirror"]
    reason = f": {mirror['reason']}" if mirror["reason"] else ""
    lines = [f"mirror {mirror['state']}{reason}, since {mirror['since']}"]
    if mirror["advice"]:
        lines.append(mirror["advice"])
    for name, look in (("last turn", report["last_turn"]), ("last reseed", report["last_reseed"])):
        if look is not None:
            lines.append(
                f"{name}: {look['mitras']} mitras in {look['seconds']:.1f} s, "
                f"{look['found']} found, {look['healed']} healed, at {look['ended_at']}"
            )
    items = report["recent"]["items"]
    keys = ("found_at", "mitra_id", "fact", "cause", "postgres", "mirror", "found_by")
    rows = [[*(_text(item[key]) for key in keys), _age(item["at_most_seconds"])] for item in items]
    head = ["found", "mitra", "fact", "cause", "Postgres", "mirror", "by", "at most"]
    return "\n".join([*lines, output.table([head, *rows]) if rows else "no drift in 7 days"])


def _age(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.1f} s"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


# --- reseed ------------------------------------------------------------------------------------


async def _reseed(stack: running.Running, *, wait: float) -> Json:
    async with as_operator(stack) as http:
        _, ordered = await call(http, "POST", f"{_BASE}/reseed", None, accept={202})
        if wait <= 0:
            return ordered
        path = f"{_BASE}/reseeds/{ordered['reseed_id']}"
        try:
            async with asyncio.timeout(wait):
                return await _finished(http, path, output.complain)
        except TimeoutError:
            raise output.Failed(
                f"it was not over within {wait:g} s and goes on; `temani mirror drift` shows when "
                f"(reseed {ordered['reseed_id']})"
            ) from None


async def _finished(http: aiohttp.ClientSession, path: str, say: Callable[[str], None]) -> Json:
    told = ""
    while True:
        _, now = await call(http, "GET", path, None, accept={200})
        if now["state"] in ("done", "failed"):
            return now
        if (line := _progress(now)) != told:
            say(line)
            told = line
        await asyncio.sleep(_LOOK_SECONDS)


def _progress(now: Json) -> str:
    if now["state"] == "waiting":
        return "waits for another reseed to end"
    return f"{now['mitras']} of {now['total']} mitras"


def _outcome(done: Json) -> str:
    if done["state"] == "done":
        return (
            f"{done['mitras']} mitras: {done['healed']} facts brought in or mended, "
            f"{done['strangers']} strangers removed"
        )
    if done["state"] == "failed":
        return f"failed: {done['error']}. {done['advice']}"
    return f"a reseed was ordered ({done['reseed_id']})"


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"{text!r}: write how many rows, 1 to 200")
    return int(text)
