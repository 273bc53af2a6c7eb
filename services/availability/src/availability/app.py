"""The only wiring of availability."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from availability import events, http, inbound, store, subscriptions
from availability.domain import Patience
from availability.handlers import (
    Beacons,
    Brakes,
    Drift,
    DriftLog,
    Histograms,
    Insight,
    Lighthouse,
    Loads,
    Operators,
    Reseeds,
    ServiceDesk,
    Statuses,
    Upkeep,
)
from availability.jobs import Jobs
from availability.providers import MirrorWriter
from availability.settings import Settings
from availability.subscriptions import Subscriptions
from common.bus import Bus
from common.clock import Clock
from common.contract import CommandContract, Contract
from common.db import Database
from common.ids import new_id
from common.outbox import Outbox
from common.realtime import Fanout
from common.revocation import Revocations
from common.runner import Pulse, Runner
from common.tokens import Verifier
from common.web import Health, build_app
from common.wiring import connect
from mirror import Limits, MirrorKit, open_mirror
from mirror.plan import ServicePlan

TITLE = "Temani availability"

# Each replica says once a second that it is there; two late words are no outage.
_LEAST_GAP = 3.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What the process is connected to."""

    clock: Clock
    db: Database
    bus: Bus
    kit: MirrorKit
    verifier: Verifier
    revocations: Revocations
    health: Health


@dataclass(frozen=True, slots=True)
class Inside:
    """The handlers, wired."""

    statuses: Statuses
    loads: Loads
    beacons: Beacons
    lighthouse: Lighthouse
    operators: Operators
    insight: Insight
    drift: Drift
    brakes: Brakes
    reseeds: Reseeds
    service: ServiceDesk
    upkeep: Upkeep
    writer: MirrorWriter


class Nudge:
    """Somebody's availability changed: forget the beacon of before and look at once."""

    def __init__(self) -> None:
        self.beacons: Beacons | None = None
        self.pulse: Pulse | None = None

    def __call__(self) -> None:
        """Wake the beacon; before the loops run there is nobody to wake."""
        if self.beacons is not None:
            self.beacons.drop()
        if self.pulse is not None:
            self.pulse.now()


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Connect, restore the mirror, subscribe, start the loops; returns the application."""
    outside = await _connect(settings, runner)
    nudge = Nudge()
    inside = _wire(settings, runner, outside, nudge)
    await inside.upkeep.restore()
    await inside.service.follow()
    Subscriptions(statuses=inside.statuses, loads=inside.loads).start(outside.bus)
    jobs = Jobs(
        lighthouse=inside.lighthouse,
        service=inside.service,
        upkeep=inside.upkeep,
        debts=inside.writer,
        drift=inside.drift,
        brakes=inside.brakes,
        statuses=inside.statuses,
        tick_seconds=settings.tick_seconds,
    )
    nudge.beacons, nudge.pulse = inside.beacons, jobs.start(runner)
    return _serve(settings, outside, inside)


def contract() -> Contract:
    """Describe what others may rely on."""
    return Contract(
        service="availability",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        events=[events.MitraOnline, events.MitraOffline],
        heard=subscriptions.HEARD,
        commands=[
            CommandContract(
                "cmd.availability.mark_offline.v1", inbound.MarkOffline, inbound.MarkedOffline
            ),
            CommandContract("cmd.availability.settle_due.v1", inbound.SettleDue, inbound.Settled),
        ],
    )


async def _connect(settings: Settings, runner: Runner) -> Outside:
    connected = await connect("availability", settings, runner)
    clock, db, bus = connected.clock, connected.db, connected.bus
    return Outside(
        clock=clock,
        db=db,
        bus=bus,
        kit=await open_mirror(settings.valkey_url, db, runner, clock, Limits.of(settings)),
        verifier=connected.verifier(),
        revocations=connected.revocations(),
        health=connected.health(),
    )


def _patience(settings: Settings) -> Patience:
    limits = Limits.of(settings)
    # A gap may not cost anybody her place: it ends before a fresh beat can be too old.
    spare = settings.auto_offline_seconds - settings.fresh_limit_seconds
    return Patience(
        auto_offline=settings.auto_offline_seconds,
        gap=max(_LEAST_GAP, min(limits.gap_ms / 1000, spare)),
        grace=limits.grace_ms / 1000,
    )


def _wire(
    settings: Settings, runner: Runner, outside: Outside, changed: Callable[[], None]
) -> Inside:
    kit, clock = outside.kit, outside.clock
    outbox = Outbox(
        service="availability", db=outside.db, bus=outside.bus, runner=runner, clock=clock
    )
    leases = store.Leases(outside.db)
    rows = store.Statuses(outside.db, outbox=outbox, clock=clock, patience=_patience(settings))
    writer = MirrorWriter(mirror=kit.mirror, seeder=kit.seeder)
    holder = new_id()
    fanout = Fanout(bus=outside.bus, replica=settings.replica)
    statuses = Statuses(
        store=rows, mirroring=writer, mirror=kit.mirror, beats=kit.beats, changed=changed
    )
    plan = ServicePlan(outside.db, clock=clock)
    beacons = Beacons(presence=kit.presence, hours=plan, clock=clock)
    histograms = Histograms(presence=kit.presence, clock=clock)
    lighthouse = Lighthouse(
        beacons=beacons,
        histograms=histograms,
        mirror=kit.mirror,
        leases=leases,
        tell=fanout.tell,
        clock=clock,
        holder=holder,
    )
    brakes = Brakes(store.Brakes(outside.db))
    drift_log = DriftLog(book=kit.drift, clock=clock)
    return Inside(
        statuses=statuses,
        loads=Loads(store=store.Loads(outside.db), mirroring=writer, changed=changed),
        beacons=beacons,
        lighthouse=lighthouse,
        operators=Operators(
            roster=store.Roster(outside.db),
            statuses=statuses,
            presence=kit.presence,
            beacons=beacons,
            lighthouse=lighthouse,
            histograms=histograms,
            state=kit.state,
            brake=brakes.seen,
        ),
        insight=Insight(
            store=store.Insight(outside.db, bulkhead=kit.bulkhead),
            presence=kit.presence,
            mirror=kit.mirror,
            state=kit.state,
            hours=plan,
            fresh_limit=timedelta(seconds=settings.fresh_limit_seconds),
            clock=clock,
        ),
        brakes=brakes,
        drift=Drift(store=store.Drift(outside.db), state=kit.state),
        reseeds=Reseeds(
            seeder=kit.seeder, store=store.Reseeds(outside.db), drift=drift_log, runner=runner
        ),
        service=ServiceDesk(versions=store.ServiceVersions(outside.db), plan=plan, changed=changed),
        upkeep=Upkeep(
            seeder=kit.seeder,
            leases=leases,
            serving=leases,
            patience=_patience(settings),
            holder=holder,
            drift=drift_log,
            settle_deactivated=statuses.settle_deactivated,
            clock=clock,
            changed=changed,
        ),
        writer=writer,
    )


def _serve(settings: Settings, outside: Outside, inside: Inside) -> web.Application:
    app = build_app(
        settings=settings,
        service="availability",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        verifier=outside.verifier,
        revocations=outside.revocations,
        health=_health(outside),
    )
    app[http.STATUSES] = inside.statuses
    app[http.BEACONS] = inside.beacons
    app[http.SERVICE] = inside.service
    app[http.OPERATORS] = inside.operators
    app[http.INSIGHT] = inside.insight
    app[http.BRAKES] = inside.brakes
    app[http.DRIFT] = inside.drift
    app[http.RESEEDS] = inside.reseeds
    app[http.CLOCK] = outside.clock
    app[http.FRESH_LIMIT] = timedelta(seconds=settings.fresh_limit_seconds)
    app[http.NEXT_BEAT] = settings.heartbeat_seconds
    return app


def _health(outside: Outside) -> Health:
    outside.health.depend("valkey", outside.kit.trouble)
    return outside.health
