"""The running service: connections, handlers, routes, loops."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from auth import http, jobs, subscriptions
from auth.app import policies
from auth.app.promises import TITLE
from auth.domain.otp import Codes
from auth.domain.refresh import RefreshTokens
from auth.handlers.ending import Ending
from auth.handlers.housekeeping import HousekeepingHandlers
from auth.handlers.issuing import Issuing
from auth.handlers.limits import LimitsHandlers
from auth.handlers.mitras import MitraHandlers
from auth.handlers.operators import OperatorHandlers
from auth.handlers.otp import OtpHandlers
from auth.handlers.own_logins import OwnLoginsHandlers
from auth.handlers.revoked_keys import RevokedKeysHandlers
from auth.handlers.signing_in import SignInHandlers
from auth.handlers.tokens import TokenHandlers
from auth.ports import Announcer, Hasher, OtpSender, Spawn, Store
from auth.providers.fazpass import Breaker, FazpassSender
from auth.providers.keys import Es256Keys, Hs256Keys, load_secret
from auth.providers.passwords import Argon2Hasher
from auth.providers.phones import LibPhones
from auth.providers.revocation import KEY_SECONDS, PushAnnouncer, ValkeyRevokedKeys
from auth.settings import Settings
from auth.store import PgRevoked, PgStore
from common.clock import Clock
from common.outbox import Outbox
from common.revocation import Revocations
from common.runner import Runner
from common.tokens import Verifier
from common.web import Health, build_app
from common.wiring import Connected, connect

Keys = Es256Keys | Hs256Keys


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the handlers are given; a test gives others."""

    store: Store
    announcer: Announcer
    hasher: Hasher
    sender: OtpSender
    keys: Keys
    spawn: Spawn


@dataclass(frozen=True, slots=True)
class Outside:
    """What the process is connected to."""

    connected: Connected
    revoked: PgRevoked
    revocations: Revocations
    revoked_keys: ValkeyRevokedKeys | None
    adapters: Adapters


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Connect, wire, subscribe, start the loops; returns the application to serve."""
    keys = load_keys(settings)
    outside = await _connect(settings, runner, keys)
    handlers = wire(settings, outside.adapters)
    subscriptions.subscribe(
        outside.connected.bus, housekeeping=handlers.housekeeping, tokens=handlers.tokens
    )
    jobs.start(
        runner,
        housekeeping=handlers.housekeeping,
        revoked_keys=_keeper(outside),
        tick_seconds=settings.tick_seconds,
        revoked_keys_seconds=settings.revoked_keys_seconds,
    )
    verifier = Verifier(
        keys=keys.source(), algorithm=settings.token_algorithm, clock=outside.connected.clock
    )
    app = build_app(
        settings=settings,
        service="auth",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        verifier=verifier,
        revocations=outside.revocations,
        health=_health(outside),
    )
    app[http.HANDLERS] = handlers
    return app


def load_keys(settings: Settings) -> Keys:
    """Read the signing keys of the one algorithm that this deployment uses."""
    if settings.token_algorithm == "ES256":  # noqa: S105 - the name of an algorithm
        assert settings.signing_key_file is not None
        return Es256Keys.load(settings.signing_key_file, settings.extra_key_files)
    assert settings.token_secret is not None
    return Hs256Keys(settings.token_secret.get_secret_value().encode())


def open_hasher(settings: Settings, runner: Runner) -> Argon2Hasher:
    """Start the threads that hash passwords."""
    hasher = Argon2Hasher(threads=settings.password_threads, queue=settings.password_queue)
    runner.on_stop(hasher.close)
    return hasher


async def _connect(settings: Settings, runner: Runner, keys: Keys) -> Outside:
    connected = await connect("auth", settings, runner)
    clock, db, bus = connected.clock, connected.db, connected.bus
    revocations = connected.revocations()
    revoked = PgRevoked(db)
    revoked_keys = ValkeyRevokedKeys(settings.valkey_url) if settings.valkey_url else None
    if revoked_keys is not None:
        runner.on_stop(revoked_keys.close)

    def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
        runner.background(work, name=name)

    outbox = Outbox(service="auth", db=db, bus=bus, runner=runner, clock=clock)
    adapters = Adapters(
        store=PgStore(db=db, outbox=outbox),
        announcer=PushAnnouncer(
            bus=bus, revocations=revocations, keys=revoked_keys, store=revoked, spawn=spawn
        ),
        hasher=open_hasher(settings, runner),
        sender=_sender(settings, runner, clock),
        keys=keys,
        spawn=spawn,
    )
    return Outside(
        connected=connected,
        revoked=revoked,
        revocations=revocations,
        revoked_keys=revoked_keys,
        adapters=adapters,
    )


def _sender(settings: Settings, runner: Runner, clock: Clock) -> Breaker:
    fazpass = FazpassSender(
        url=str(settings.otp_provider_url),
        merchant_key=settings.otp_merchant_key.get_secret_value(),
        gateway_keys=policies.gateway_keys(settings),
        timeout=settings.otp_provider_timeout_seconds,
    )
    runner.on_stop(fazpass.close)
    return Breaker(fazpass, clock=clock.monotonic)


def wire(settings: Settings, adapters: Adapters) -> http.Handlers:
    """Hand the adapters to the handlers."""
    store = adapters.store
    root = load_secret(settings.refresh_secret_file)
    previous = settings.previous_refresh_secret_file
    refresh_tokens = RefreshTokens([root, *([load_secret(previous)] if previous else [])])
    lifetimes = policies.lifetimes(settings)
    limits = LimitsHandlers(store=store, defaults=policies.limits(settings))
    codes, phones = Codes(root), LibPhones(settings.phone_regions)
    ending = Ending(adapters.announcer)
    issuing = Issuing(
        signer=adapters.keys, refresh_tokens=refresh_tokens, lifetimes=lifetimes, ending=ending
    )
    return http.Handlers(
        otp=OtpHandlers(
            store=store,
            limits=limits,
            codes=codes,
            phones=phones,
            sender=adapters.sender,
            spawn=adapters.spawn,
        ),
        sign_in=SignInHandlers(
            store=store, limits=limits, codes=codes, phones=phones, issuing=issuing
        ),
        tokens=TokenHandlers(
            store=store,
            refresh_tokens=refresh_tokens,
            issuing=issuing,
            ending=ending,
            lifetimes=lifetimes,
            policy=policies.refresh_policy(settings),
        ),
        own_logins=OwnLoginsHandlers(store=store, ending=ending),
        operators=OperatorHandlers(
            store=store, limits=limits, hasher=adapters.hasher, issuing=issuing
        ),
        mitras=MitraHandlers(store=store, phones=phones, ending=ending),
        limits=limits,
        housekeeping=HousekeepingHandlers(
            store=store,
            people_days=settings.audit_people_days,
            control_days=settings.audit_control_days,
        ),
        jwks=adapters.keys.jwks(),
    )


def _keeper(outside: Outside) -> RevokedKeysHandlers | None:
    if outside.revoked_keys is None:
        return None
    return RevokedKeysHandlers(
        store=outside.revoked, keys=outside.revoked_keys, seconds=KEY_SECONDS
    )


def _health(outside: Outside) -> Health:
    health = outside.connected.health()
    if (keys := outside.revoked_keys) is not None:

        async def valkey() -> str | None:
            return None if await keys.state() == "kept" else "not seeded"

        health.depend("valkey", valkey)
    return health
