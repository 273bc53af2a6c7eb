"""Auth's handlers on a real Postgres, with a clock to turn and a provider that only remembers."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.hearing import NOWHERE
from tests.support import TestDatabase

from auth.app.service import Adapters, load_keys, wire
from auth.domain.logins import Device
from auth.domain.origin import Actor, Origin, device_key
from auth.domain.otp import Channel
from auth.handlers.issuing import Tokens
from auth.handlers.otp import Asked
from auth.ports import SendFailed, SendUncertain
from auth.providers.passwords import Argon2Hasher
from auth.settings import Settings
from auth.store import PgStore, PgUnit
from common.bus import Bus
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.outbox import Outbox
from common.runner import Runner

PHONE = "+6281234567890"
DEVICE = "device-one"


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Return settings with fresh keys in `folder`."""
    signing, secret = folder / "signing.pem", folder / "refresh.secret"
    if not signing.exists():
        signing.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        secret.write_text("s" * 64)
    given = {
        "signing_key_file": signing,
        "refresh_secret_file": secret,
        "environment": "test",
        "otp_merchant_key": "merchant",
        "otp_gateway_key": "gateway-whatsapp",
        "otp_sms_gateway_key": "gateway-sms",
        "otp_missed_call_gateway_key": "gateway-missed_call",
        **changes,
    }
    return Settings(**given)


def origin(number: int = 1) -> Origin:
    """Return a client address of its own for each number."""
    return Origin.of(
        address=f"10.1.{number // 250}.{number % 250 + 1}", user_agent="test", request_id="r"
    )


class Turned:
    """The database's clock, stopped: only whoever holds this turns it, however long a test takes.

    Each look moves it by a microsecond, so that no two moments are the same.
    """

    def __init__(self) -> None:
        self.passed = timedelta()
        self._stopped: datetime | None = None

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += timedelta(seconds=seconds)

    def look(self, real: datetime) -> datetime:
        """Return the time as turned, given the real one."""
        self._stopped = self._stopped or real
        self.passed += timedelta(microseconds=1)
        return self._stopped + self.passed


class TurnedUnit(PgUnit):
    """A transaction on the turned clock."""

    turned: Turned

    async def now(self) -> datetime:
        """Return the database's time as turned."""
        return self.turned.look(await super().now())


class TurnedStore(PgStore):
    """Transactions on the turned clock."""

    def __init__(self, *, db: Database, outbox: Outbox, turned: Turned) -> None:
        super().__init__(db=db, outbox=outbox)
        self._turned = turned

    def _unit(self, tx: Any) -> Any:
        unit = TurnedUnit(tx, self._outbox)
        unit.turned = self._turned
        return unit


@dataclass
class Sender:
    """Remembers what was sent; can be told to fail."""

    sent: list[tuple[str, str, Channel]] = field(default_factory=list)
    failing: dict[Channel, type[Exception]] = field(default_factory=dict)
    tries: list[Channel] = field(default_factory=list)

    def ready(self) -> bool:
        """Always."""
        return True

    async def send(self, *, phone: str, code: str, channel: Channel) -> None:
        """Remember, or fail as told."""
        self.tries.append(channel)
        if (kind := self.failing.get(channel)) is not None:
            if kind is SendUncertain:
                self.sent.append((phone, code, channel))
            raise kind("as told")
        self.sent.append((phone, code, channel))

    def fail(self, *channels: Channel, kind: type[Exception] = SendFailed) -> None:
        """Fail on these channels from now on."""
        self.failing = dict.fromkeys(channels, kind)


@dataclass
class Announced:
    """Remembers which logins were announced as revoked."""

    login_ids: list[UUID] = field(default_factory=list)

    def revoked(self, login_ids: Sequence[UUID]) -> None:
        """Remember."""
        self.login_ids.extend(login_ids)


class World:
    """Handlers, and the people and servers around them."""

    def __init__(self, settings: Settings, db: Database, outbox: Outbox) -> None:
        self.settings = settings
        self.db = db
        self.turned = Turned()
        self.sender = Sender()
        self.announced = Announced()
        self.store = TurnedStore(db=db, outbox=outbox, turned=self.turned)
        self.hasher = Argon2Hasher(threads=2, queue=20)
        self.spawned: list[asyncio.Task[object]] = []
        self.keys = load_keys(settings)
        self.handlers = wire(
            settings,
            Adapters(
                store=self.store,
                announcer=self.announced,
                hasher=self.hasher,
                sender=self.sender,
                keys=self.keys,
                spawn=self._spawn,
            ),
        )

    @classmethod
    async def make(
        cls, database: TestDatabase, runner: Runner, folder: Path, **changes: Any
    ) -> "World":
        """Connect to a database of its own; NATS is away."""
        db = await Database.connect(database.url("auth"), name="test", max_size=30)
        runner.on_stop(db.close)
        bus = await Bus.connect(NOWHERE, name="test", runner=runner)
        outbox = Outbox(service="auth", db=db, bus=bus, runner=runner, clock=SystemClock())
        world = cls(settings_for(folder, **changes), db, outbox)
        runner.on_stop(world.hasher.close)
        return world

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        self.spawned.append(asyncio.get_running_loop().create_task(work, name=name))

    async def background(self) -> None:
        """Wait until what was started in the background is done."""
        await asyncio.gather(*self.spawned)
        self.spawned.clear()

    # --- people ------------------------------------------------------------------------

    async def ask(
        self,
        phone: str = PHONE,
        *,
        role: Any = "customer",
        device: str = DEVICE,
        source: int = 1,
        key: str | None = None,
        channel: Channel | None = None,
    ) -> Asked:
        """Ask for a code."""
        asked = await self.handlers.otp.request(
            phone=phone,
            role=role,
            channel=channel,
            device_key=device_key(device),
            idempotency_key=key,
            origin=origin(source),
        )
        await self.background()
        return asked

    async def resend(self, asked: Asked, *, device: str = DEVICE, source: int = 1) -> Asked:
        """Ask for the code again."""
        again = await self.handlers.otp.resend(
            challenge_id=asked.challenge.challenge_id,
            channel=None,
            device_key=device_key(device),
            origin=origin(source),
        )
        await self.background()
        return again

    async def verify(
        self,
        asked: Asked,
        code: str,
        *,
        phone: str = PHONE,
        device: str = DEVICE,
        source: int = 1,
    ) -> Tokens:
        """Type a code in."""
        return await self.handlers.sign_in.verify(
            challenge_id=asked.challenge.challenge_id,
            phone=phone,
            code=code,
            device=Device(device_key(device), "Test phone"),
            origin=origin(source),
        )

    def last_code(self) -> str:
        """Return the code that was sent last."""
        return self.sender.sent[-1][1]

    def wrong_code(self) -> str:
        """Return a code that is not the one sent last."""
        return f"{(int(self.last_code()) + 1) % 1_000_000:06d}"

    async def sign_in(
        self, phone: str = PHONE, *, role: Any = "customer", device: str = DEVICE, source: int = 1
    ) -> Tokens:
        """Sign somebody in with a code."""
        asked = await self.ask(phone, role=role, device=device, source=source)
        return await self.verify(asked, self.last_code(), phone=phone, device=device, source=source)

    async def refresh(
        self, token: str, *, device: str = DEVICE, audience: str = "app", source: int = 1
    ) -> Tokens:
        """Show a refresh token."""
        return await self.handlers.tokens.refresh(
            token, audience=audience, device_key=device_key(device), origin=origin(source)
        )

    async def mitra(self, phone: str = PHONE, name: str = "Sari") -> UUID:
        """Make a mitra."""
        mitra = await self.handlers.mitras.create(
            phone=phone, name=name, capacity=3, actor=operator(), origin=origin(200)
        )
        return mitra.mitra_id

    async def login(self, email: str, password: str, *, source: int = 1) -> Tokens:
        """Sign an operator in."""
        return await self.handlers.operators.sign_in(
            email=email,
            password=password,
            device=Device(device_key("desk")),
            origin=origin(source),
        )

    # --- looking -----------------------------------------------------------------------

    async def rows(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Look into the database."""
        async with self.db.connection() as connection:
            return await connection.fetch(query, *args)

    async def value(self, query: str, *args: object) -> Any:
        """Look one value up."""
        async with self.db.connection() as connection:
            return await connection.fetchval(query, *args)

    async def audited(self, action: str) -> int:
        """Count audit rows of an action."""
        return int(await self.value("SELECT count(*) FROM audit WHERE action = $1", action))

    async def said(self, subject: str) -> list[dict[str, Any]]:
        """Return the bodies of events said."""
        rows = await self.rows(
            "SELECT body FROM outbox WHERE subject = $1 ORDER BY position", subject
        )
        return [json.loads(row["body"]) for row in rows]


def operator() -> Actor:
    """Return some operator."""
    return Actor(new_id(), "operator", uuid4())


async def together(count: int, act: Callable[[int], Coroutine[Any, Any, Any]]) -> list[Any]:
    """Do something many times at once; errors are answers too."""
    return await asyncio.gather(*(act(n) for n in range(count)), return_exceptions=True)
