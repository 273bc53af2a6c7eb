"""The only wiring of the sweeper."""

import argparse
import json
import secrets
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from common.bus import Bus
from common.cli import FAILED, OK, Command
from common.clock import Clock
from common.contract import Contract
from common.db import Database
from common.outbox import Outbox
from common.runner import Runner
from common.web import Health, build_app
from common.wiring import Connected, connect
from mirror import Limits, MirrorKit, open_mirror
from sweeper import jobs
from sweeper.domain import (
    AUTO_OFFLINE,
    BRAKE_CADENCES,
    HEARTBEAT_FLUSH,
    OWNERS,
    RESEED,
    RETENTION,
    Plan,
    due_sweep,
)
from sweeper.events import SweepFinished
from sweeper.handlers.driving import Driver
from sweeper.handlers.sweeps import (
    AutoOffline,
    DueDeadlines,
    HeartbeatFlush,
    Reseed,
    Retention,
    Sweep,
)
from sweeper.providers.meter import PrometheusMeter
from sweeper.providers.mirror import MirrorPresence, MirrorRebuild
from sweeper.providers.owners import BusOwners
from sweeper.settings import Settings
from sweeper.store import BrakeStore, LeaseStore, RunStore, TruthStore

SERVICE = "sweeper"
HOME = Path(__file__).resolve().parents[2]


def plan_of(settings: Settings) -> Plan:
    """Every shard of every sweep and its cadence, as the settings say."""
    due = {due_sweep(owner): settings.due_sweep_seconds for owner in OWNERS}
    return Plan(
        cadences={
            AUTO_OFFLINE: settings.mitra_auto_offline_sweep_seconds,
            HEARTBEAT_FLUSH: settings.heartbeat_mirror_interval_seconds,
            RESEED: settings.valkey_online_mirror_sweep_seconds,
            RETENTION: settings.retention_sweep_seconds,
            **due,
        },
        shards={HEARTBEAT_FLUSH: settings.flush_shards, **dict.fromkeys(due, settings.due_shards)},
    )


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Connect, start the loops, and return the application (health and metrics only)."""
    connected = await connect(SERVICE, settings, runner)
    clock, db, bus = connected.clock, connected.db, connected.bus
    outbox = Outbox(service=SERVICE, db=db, bus=bus, runner=runner, clock=clock)
    kit = await open_mirror(settings.valkey_url, db, runner, clock, Limits.of(settings))
    leases, plan = LeaseStore(db), plan_of(settings)
    await leases.prepare(plan.all())
    runs = RunStore(db, outbox=outbox, clock=clock, keep_seconds=settings.runs_keep_seconds)
    driver = Driver(
        holder=f"{settings.replica}:{secrets.token_hex(4)}",
        plan=plan,
        sweeps=sweeps_of(settings, db=db, bus=bus, kit=kit, runs=runs, clock=clock),
        leases=leases,
        runs=runs,
        meter=PrometheusMeter(),
        clock=clock,
        spawn=_spawner(runner),
        lease_seconds=settings.lease_seconds,
        report_seconds=settings.report_seconds,
    )
    jobs.start(runner, driver, lease_seconds=settings.lease_seconds)
    return build_app(
        settings=settings,
        service=SERVICE,
        title="Temani sweeper",
        routes=(),
        statuses={},
        verifier=None,
        revocations=None,
        health=_health(connected, kit=kit, driver=driver),
    )


def sweeps_of(
    settings: Settings, *, db: Database, bus: Bus, kit: MirrorKit, runs: RunStore, clock: Clock
) -> Mapping[str, Sweep]:
    """Every sweep, wired."""
    truth, meter = TruthStore(db), PrometheusMeter()
    owners = BusOwners(bus, timeout_seconds=settings.command_timeout_seconds)
    due = {
        due_sweep(owner): DueDeadlines(
            owner=owner,
            truth=truth,
            owners=owners,
            shards=settings.due_shards,
            limit=settings.due_batch,
            batch=settings.settle_batch,
        )
        for owner in OWNERS
    }
    return {
        AUTO_OFFLINE: AutoOffline(
            presence=MirrorPresence(kit.mirror),
            owners=owners,
            brakes=brakes_of(settings, db),
            meter=meter,
            batch=settings.settle_batch,
        ),
        HEARTBEAT_FLUSH: HeartbeatFlush(
            heartbeats=kit.mirror,
            truth=truth,
            clock=clock,
            shards=settings.flush_shards,
            batch=settings.flush_batch,
        ),
        RESEED: Reseed(mirror=MirrorRebuild(kit.seeder, kit.drift)),
        RETENTION: Retention(pruning=runs),
        **due,
    }


def brakes_of(settings: Settings, db: Database) -> BrakeStore:
    """Stopped passes, void after two cadences of the sweep."""
    cadence = settings.mitra_auto_offline_sweep_seconds
    return BrakeStore(db, valid_seconds=BRAKE_CADENCES * cadence)


def contract() -> Contract:
    """Describe what others may rely on."""
    return Contract(service=SERVICE, title="Temani sweeper", events=(SweepFinished,))


async def confirm_brake(settings: Settings, arguments: argparse.Namespace) -> int:
    """Say as an operator that the mitras of a stopped auto-offline pass are really gone."""
    db = await Database.connect(settings.database_url, name=SERVICE, min_size=1, max_size=1)
    try:
        found = await brakes_of(settings, db).confirm(AUTO_OFFLINE, by=arguments.by)
    finally:
        await db.close()
    if found is None:
        sys.stdout.write("no stopped pass waits for a confirmation\n")
        return FAILED
    sys.stdout.write(f"{found} mitras go offline with the next pass unless they beat\n")
    return OK


async def show_leases(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show who drives what."""
    db = await Database.connect(settings.database_url, name=SERVICE, min_size=1, max_size=1)
    try:
        rows = await LeaseStore(db).all()
    finally:
        await db.close()
    if arguments.json:
        sys.stdout.write(json.dumps(rows, default=str, indent=2) + "\n")
        return OK
    for row in rows:
        holder = row["holder"] if row["held"] else "-"
        sys.stdout.write(f"{row['sweep']:<18} {row['shard']:>2}  {row['fence']:>6}  {holder}\n")
    return OK


def _needs_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", required=True, help="name of the operator")


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


COMMANDS = {
    "confirm-brake": Command(
        help="let a stopped auto-offline pass go on",
        run=confirm_brake,
        arguments=_needs_name,
    ),
    "leases": Command(
        help="show who drives what",
        run=show_leases,
        arguments=_takes_json,
    ),
}


def _spawner(runner: Runner) -> Any:
    def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
        runner.background(work, name=name)

    return spawn


def _health(connected: Connected, *, kit: MirrorKit, driver: Driver) -> Health:
    away = "not connected; due deadlines wait for their owners' tickers"
    health = connected.health(nats_away=away)

    async def leases() -> str | None:
        return None if driver.is_current() else "no renewal for longer than a lease"

    health.depend("valkey", kit.trouble)
    health.depend("leases", leases)
    return health
