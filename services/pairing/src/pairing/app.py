"""The only wiring of pairing."""

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from common.bus import Bus
from common.clock import Clock
from common.contract import CommandContract, Contract
from common.db import Database
from common.outbox import Outbox
from common.realtime import Fanout
from common.revocation import Revocations
from common.runner import Runner
from common.sockets import Frames, Hub
from common.tokens import Verifier
from common.web import Health, build_app
from common.wiring import connect
from mirror import Limits, MirrorKit, open_mirror
from mirror.plan import ServicePlan
from pairing import events, handlers, http, inbound, store
from pairing.handlers.announce import Announcer
from pairing.handlers.beacon import BeaconBoard
from pairing.jobs import DeadlineAlarm, Jobs
from pairing.ports import Presence
from pairing.providers.presence import MirrorPresence
from pairing.providers.telling import SocketTelling
from pairing.settings import Settings
from pairing.sockets import PATH, Sockets, route
from pairing.subscriptions import Subscriptions
from pairing.views.frames import INCOMING, OUTGOING

TITLE = "Temani pairing"


@dataclass(frozen=True, slots=True)
class Outside:
    """What the process is connected to."""

    clock: Clock
    db: Database
    bus: Bus
    kit: MirrorKit
    plan: ServicePlan
    verifier: Verifier
    revocations: Revocations
    hub: Hub
    health: Health


@dataclass(frozen=True, slots=True)
class Inside:
    """The handlers, wired."""

    gate: handlers.ClaimGate
    requests: handlers.Requests
    offers: handlers.Offers
    deadlines: handlers.Deadlines
    announcer: Announcer
    board: BeaconBoard
    presence: Presence
    alarm: DeadlineAlarm
    ring_store: store.Rings


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Connect, wire, subscribe, start the loops; returns the application to serve."""
    outside = await _connect(settings, runner)
    inside = _wire(settings, runner, outside)
    Subscriptions(
        offers=inside.offers,
        deadlines=inside.deadlines,
        announcer=inside.announcer,
        board=inside.board,
        alarm=inside.alarm,
    ).start(outside.bus)
    Jobs(
        deadlines=inside.deadlines,
        store=inside.ring_store,
        board=inside.board,
        plan=outside.plan,
        alarm=inside.alarm,
        settings=settings,
    ).start(runner)
    return _serve(settings, outside, inside)


def contract() -> Contract:
    """Describe what others may rely on."""
    frames = Frames()
    for kind, model in INCOMING.items():
        frames.on(kind, model)(_only_described)
    return Contract(
        service="pairing",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        events=events.ALL,
        heard={
            "evt.availability.mitra_offline.v1": inbound.MitraGone,
            "evt.auth.mitra_deactivated.v1": inbound.MitraGone,
            "evt.pairing.request_opened.v1": inbound.RequestReopened,
        },
        commands=[CommandContract("cmd.pairing.settle_due.v1", inbound.SettleDue, inbound.Settled)],
        socket_path=PATH,
        frames_in=frames,
        frames_out=OUTGOING,
    )


async def _only_described(_connection: object, _data: object, _frame_id: str | None) -> None:
    raise AssertionError("a contract describes frames, it handles none")


async def _connect(settings: Settings, runner: Runner) -> Outside:
    connected = await connect("pairing", settings, runner)
    clock, db, bus = connected.clock, connected.db, connected.bus
    kit = await open_mirror(settings.valkey_url, db, runner, clock, Limits.of(settings))
    verifier, revocations = connected.verifier(), connected.revocations()
    hub = Hub(
        verifier=verifier, revocations=revocations, runner=runner, clock=clock, service="pairing"
    )
    plan = ServicePlan(db, clock=clock)
    await plan.refresh()
    health = connected.health()
    return Outside(clock, db, bus, kit, plan, verifier, revocations, hub, health)


def _wire(settings: Settings, runner: Runner, outside: Outside) -> Inside:
    outbox = Outbox(
        service="pairing", db=outside.db, bus=outside.bus, runner=runner, clock=outside.clock
    )
    request_store = store.Requests(db=outside.db, outbox=outbox)
    offer_store = store.Offers(db=outside.db, outbox=outbox)
    ring_store = store.Rings(db=outside.db, outbox=outbox, settings=settings)
    presence = MirrorPresence(outside.kit, clock=outside.clock)
    alarm = DeadlineAlarm(tick_seconds=settings.tick_seconds)
    gate = handlers.ClaimGate()
    telling = SocketTelling(
        hub=outside.hub,
        fanout=Fanout(bus=outside.bus, replica=settings.replica),
        bus=outside.bus,
        remember=gate.remember,
    )
    announcer = Announcer(requests=request_store, telling=telling)
    rings = handlers.Rings(
        store=ring_store,
        presence=presence,
        gate=gate,
        announcer=announcer,
        alarm=alarm,
        settings=settings,
    )

    def ring_soon(request_id: UUID) -> None:
        runner.background(rings.send_first(request_id), name="first-ring")

    def tell_soon(request_id: UUID) -> None:
        runner.background(announcer.read_and_tell(request_id), name="tell-customer")

    offers = handlers.Offers(
        store=offer_store,
        rings=ring_store,
        gate=gate,
        announcer=announcer,
        alarm=alarm,
        settings=settings,
        tell_soon=tell_soon,
    )
    return Inside(
        gate=gate,
        requests=handlers.Requests(
            store=request_store,
            announcer=announcer,
            clock=outside.clock,
            settings=settings,
            ring_soon=ring_soon,
        ),
        offers=offers,
        deadlines=handlers.Deadlines(
            requests=request_store,
            store=ring_store,
            offers=offers,
            rings=rings,
            announcer=announcer,
        ),
        announcer=announcer,
        board=BeaconBoard(
            presence=presence,
            hours=outside.plan,
            announcer=announcer,
            clock=outside.clock,
            fresh_seconds=settings.beacon_seconds,
        ),
        presence=presence,
        alarm=alarm,
        ring_store=ring_store,
    )


def _serve(settings: Settings, outside: Outside, inside: Inside) -> web.Application:
    sockets = Sockets(
        requests=inside.requests,
        offers=inside.offers,
        presence=inside.presence,
        board=inside.board,
        clock=outside.clock,
    )
    app = build_app(
        settings=settings,
        service="pairing",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        verifier=outside.verifier,
        revocations=outside.revocations,
        health=_health(outside),
        sockets=[route(sockets, outside.hub)],
    )
    app[http.REQUESTS] = inside.requests
    app[http.OFFERS] = inside.offers
    return app


def _health(outside: Outside) -> Health:
    outside.health.depend("valkey", outside.kit.trouble)
    return outside.health
