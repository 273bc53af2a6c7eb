"""temani mirror: compare the mirror in Valkey with the truth in Postgres; rebuild it."""

import argparse
import asyncio
from dataclasses import asdict, dataclass
from uuid import UUID

import aiohttp

from common import log
from common.clock import SystemClock
from common.db import Database
from mirror.errors import MirrorUnavailable
from mirror.link import Link
from mirror.mirror import Mirror
from mirror.truth import Truth
from mirror.values import Limits, MirrorRow, MitraStatus
from temani import running
from temani.commands import output
from temani.seeding import call, operator_token

_CHUNK = 500


@dataclass(frozen=True)
class Difference:
    """One fact of one mitra that the mirror has otherwise than Postgres."""

    mitra_id: str
    fact: str
    postgres: str
    mirror: str


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    words = commands.add_parser("mirror", help="Valkey's copy of who can work").add_subparsers(
        metavar="ACTION", required=True
    )
    diff = words.add_parser("diff", help="every fact that the mirror has otherwise than Postgres")
    diff.set_defaults(run=run_diff)
    reseed = words.add_parser("reseed", help="rebuild the mirror from Postgres, as the operator")
    reseed.set_defaults(run=run_reseed)


def run_diff(args: argparse.Namespace) -> int:
    """Run `temani mirror diff`: exit code 1 when something differs."""
    mitras, found = asyncio.run(_diff(running.find()))
    value = {"mitras": mitras, "differences": [asdict(each) for each in found]}
    rows = [[each.mitra_id, each.fact, each.postgres, each.mirror] for each in found]
    text = output.table([["mitra", "fact", "Postgres", "mirror"], *rows]) if rows else ""
    output.tell(args, value, lambda: text or f"{mitras} mitras, no difference")
    return output.FAILED if found else output.OK


def run_reseed(args: argparse.Namespace) -> int:
    """Run `temani mirror reseed`."""
    asyncio.run(_reseed(running.find()))
    output.tell(args, {"reseeding": True}, lambda: "a reseed was ordered")
    return output.OK


async def _diff(stack: running.Running) -> tuple[int, list[Difference]]:
    log.configure("temani", level="error", fmt="console")
    # The sweeper may read the published rows of every mitra, and nothing else.
    db = await Database.connect(
        stack.service_environment("sweeper")["DATABASE_URL"], name="temani-mirror-diff", min_size=1
    )
    link = Link(stack.addresses.valkey_url, clock=SystemClock())
    mirror = Mirror(link, clock=SystemClock(), limits=Limits())
    try:
        await mirror.seed()
        return await _compare(Truth(db), mirror)
    except MirrorUnavailable as error:
        raise output.Failed(f"there is no mirror to compare: {error}") from None
    finally:
        await link.close()
        await db.close()


async def _compare(truth: Truth, mirror: Mirror) -> tuple[int, list[Difference]]:
    found: list[Difference] = []
    seen, after = 0, UUID(int=0)
    while rows := await truth.rows_after(after, _CHUNK):
        for row in rows:
            found += _differences(row, await mirror.status(row.mitra_id))
        seen += len(rows)
        after = rows[-1].mitra_id
    return seen, found


def _differences(row: MirrorRow, status: MitraStatus | None) -> list[Difference]:
    name = str(row.mitra_id)
    if status is None:
        return [Difference(name, "all", "known", "unknown")]
    load = f"{row.load.load} of {row.load.capacity}"
    pairs = (
        ("online", str(row.online.is_online), str(status.is_online)),
        ("active", str(row.active.is_active), str(status.is_active)),
        ("load", load, f"{status.load} of {status.capacity}"),
    )
    return [Difference(name, fact, there, here) for fact, there, here in pairs if there != here]


async def _reseed(stack: running.Running) -> None:
    async with aiohttp.ClientSession(base_url=stack.addresses.gateway_url) as http:
        keys = stack.keys
        token = await operator_token(http, keys.operator_email, keys.operator_password)
        http.headers["Authorization"] = f"Bearer {token}"
        await call(http, "POST", "/api/control/availability/reseed", None, accept={202})
