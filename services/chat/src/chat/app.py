"""The only wiring of chat."""

from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from aiohttp import web

from chat import events, http, inbound
from chat.domain.values import Limits
from chat.handlers.control import Control
from chat.handlers.deadlines import Deadlines
from chat.handlers.extensions import Extensions
from chat.handlers.messages import Messages
from chat.handlers.mitras import Attendance, Mitras
from chat.handlers.payments import Payments
from chat.handlers.rerouting import Rerouting
from chat.handlers.sessions import Sessions
from chat.handlers.showing import Names, Shows
from chat.handlers.telling import Teller
from chat.jobs import Jobs
from chat.providers.alarm import DeadlineAlarm
from chat.providers.beats import MirrorBeats
from chat.providers.midtrans import Midtrans
from chat.providers.realtime import SocketRealtime
from chat.settings import Settings
from chat.sockets import PATH, Sockets, frame_kinds, route
from chat.store import PgStore
from chat.subscriptions import MOVED_BY_NEIGHBOURS, Subscriptions
from chat.views.frames import OUT
from common.bus import Bus
from common.clock import Clock
from common.contract import CommandContract, Contract
from common.db import Database, Unavailable
from common.log import get_logger
from common.outbox import Outbox
from common.realtime import Fanout
from common.revocation import Revocations
from common.runner import Runner
from common.sockets import Hub
from common.tokens import Verifier
from common.web import Health, build_app
from common.wiring import connect
from mirror import Limits as MirrorLimits
from mirror import MirrorKit, open_mirror

TITLE = "Temani chat"

log = get_logger("chat")


@dataclass(frozen=True, slots=True)
class Outside:
    """What the process is connected to."""

    clock: Clock
    db: Database
    bus: Bus
    kit: MirrorKit
    verifier: Verifier
    revocations: Revocations
    hub: Hub
    health: Health
    http: aiohttp.ClientSession


@dataclass(frozen=True, slots=True)
class Inside:
    """The handlers, wired."""

    teller: Teller
    sessions: Sessions
    messages: Messages
    extensions: Extensions
    payments: Payments
    deadlines: Deadlines
    mitras: Mitras
    attendance: Attendance
    control: Control
    alarm: DeadlineAlarm
    store: PgStore


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Connect, wire, subscribe, start the loops; returns the application to serve."""
    outside = await _connect(settings, runner)
    limits = limits_of(settings)
    inside = _wire(settings, limits, runner, outside)
    await _tell_limits(inside.store, limits, settings)
    Subscriptions(
        mitras=inside.mitras,
        deadlines=inside.deadlines,
        teller=inside.teller,
        close_login=outside.hub.close_login,
        look_at_deadlines=lambda: inside.alarm.wake_at(0),
    ).start(outside.bus)
    Jobs(
        deadlines=inside.deadlines,
        payments=inside.payments,
        attendance=inside.attendance,
        alarm=inside.alarm,
        settings=settings,
    ).start(runner)
    return _serve(settings, outside, inside)


def contract() -> Contract:
    """Describe what others may rely on."""
    return Contract(
        service="chat",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        events=[*events.SESSION_EVENTS.values(), events.TopicUpdated, events.CapacityChanged],
        heard={
            "evt.auth.mitra_created.v1": inbound.MitraCreated,
            "evt.auth.mitra_deactivated.v1": inbound.MitraDeactivated,
            "evt.auth.login_revoked.v1": inbound.LoginRevoked,
            **{f"evt.chat.{noun}.v1": inbound.SessionMoved for noun in MOVED_BY_NEIGHBOURS},
        },
        commands=[CommandContract("cmd.chat.settle_due.v1", inbound.SettleDue, inbound.Settled)],
        socket_path=PATH,
        frames_in=frame_kinds(),
        frames_out=OUT,
    )


def limits_of(settings: Settings) -> Limits:
    """Return the durations of the settings."""
    lost = timedelta(seconds=settings.lost_seconds)
    return Limits(
        payment_hold=timedelta(seconds=settings.payment_hold_seconds),
        show_up=timedelta(seconds=settings.show_up_seconds),
        silence=timedelta(seconds=settings.heartbeat_seconds) + lost,
        lost=lost,
        warnings=settings.warnings,
        extension_answer=timedelta(seconds=settings.extension_answer_seconds),
        expired_window=timedelta(seconds=settings.expired_window_seconds),
        closing_grace=timedelta(seconds=settings.closing_grace_seconds),
    )


async def _connect(settings: Settings, runner: Runner) -> Outside:
    connected = await connect("chat", settings, runner)
    clock, db, bus = connected.clock, connected.db, connected.bus
    kit = await open_mirror(settings.valkey_url, db, runner, clock, MirrorLimits.of(settings))
    verifier, revocations = connected.verifier(), connected.revocations()
    hub = Hub(
        verifier=verifier,
        revocations=revocations,
        runner=runner,
        clock=clock,
        service="chat",
        allowed_origins=settings.allowed_origins,
    )
    session = aiohttp.ClientSession()
    runner.on_stop(session.close)
    health = connected.health()
    return Outside(clock, db, bus, kit, verifier, revocations, hub, health, session)


def _wire(settings: Settings, limits: Limits, runner: Runner, outside: Outside) -> Inside:
    outbox = Outbox(
        service="chat", db=outside.db, bus=outside.bus, runner=runner, clock=outside.clock
    )
    store = PgStore(db=outside.db, outbox=outbox, clock=outside.clock)
    alarm = DeadlineAlarm(clock=outside.clock)
    realtime = SocketRealtime(
        hub=outside.hub, fanout=Fanout(bus=outside.bus, replica=settings.replica)
    )
    shows = Shows(names=Names(store, clock=outside.clock), limits=limits)
    teller = Teller(store=store, shows=shows, realtime=realtime, alarm=alarm)
    rerouting = Rerouting(store=store, limits=limits)
    provider = Midtrans(
        session=outside.http,
        snap_url=str(settings.payment_snap_url),
        api_url=str(settings.payment_api_url),
        server_key=settings.payment_server_key.get_secret_value(),
        timeout_seconds=settings.payment_timeout_seconds,
    )
    return Inside(
        teller=teller,
        sessions=Sessions(store=store, shows=shows, teller=teller, limits=limits),
        messages=Messages(
            store=store, realtime=realtime, teller=teller, background=runner, limits=limits
        ),
        extensions=Extensions(store=store, teller=teller, limits=limits),
        payments=Payments(store=store, provider=provider, teller=teller, limits=limits),
        deadlines=Deadlines(store=store, rerouting=rerouting, teller=teller, limits=limits),
        mitras=Mitras(store=store, rerouting=rerouting, teller=teller, limits=limits),
        attendance=Attendance(store=store, beats=MirrorBeats(outside.kit), limits=limits),
        control=Control(store=store, shows=shows, teller=teller, limits=limits),
        alarm=alarm,
        store=store,
    )


async def _tell_limits(store: PgStore, limits: Limits, settings: Settings) -> None:
    try:
        await store.save_limits(limits, default_capacity=settings.default_capacity)
    except Unavailable as error:
        # The limits of the last start stand in the table; the next start writes ours.
        log.warning("limits_not_told", error=str(error))


def _serve(settings: Settings, outside: Outside, inside: Inside) -> web.Application:
    sockets = Sockets(
        sessions=inside.sessions,
        messages=inside.messages,
        attendance=inside.attendance,
        clock=outside.clock,
    )
    app = build_app(
        settings=settings,
        service="chat",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        verifier=outside.verifier,
        revocations=outside.revocations,
        health=_health(outside),
        sockets=[route(sockets, outside.hub)],
    )
    app[http.SESSIONS] = inside.sessions
    app[http.MESSAGES] = inside.messages
    app[http.EXTENSIONS] = inside.extensions
    app[http.PAYMENTS] = inside.payments
    app[http.CONTROL_CENTER] = inside.control
    app[http.ATTENDANCE] = inside.attendance
    return app


def _health(outside: Outside) -> Health:
    outside.health.depend("valkey", outside.kit.trouble)
    return outside.health
