"""The product on the rig: real services, mitras who may use them, and what was stored of them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import valkey.asyncio as valkey_client
from aiohttp import web
from tests.bench.rig import Rig, python
from tests.support import TestDatabase

from common.bus import Bus
from common.clock import SystemClock
from common.ids import new_id
from common.revoked_keys import SENTINEL
from common.runner import Runner
from common.testing.tokens import Mint
from common.testing.waiting import eventually
from mirror import keys
from temani import ports
from temani.process import Process

MITRAS = 10_000
_SPARE = 10  # a check that deactivates one takes her out of the run
BEAT_PATH = "/api/mitra/status/heartbeat"
CHAT_PATH = "/api/shared/chat/ws"
_TOKEN_SECONDS = 880.0  # the longest a verifier takes is 900; no run lasts so long
# The limiter runs as always; a thousand mitras who beat as fast as they can would meet it.
_RATES = '{"write":{"per_second":1000000,"burst":1000000}}'

_PEOPLE = """
INSERT INTO auth.mitras (mitra_id, phone, display_name, created_at, created_by)
SELECT m, '+62811' || lpad(n::text, 8, '0'), 'Mitra ' || n, now(), gen_random_uuid()
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (m, n)
"""
_LOGINS = """
INSERT INTO auth.logins (login_id, user_id, role, rotated_at, device_key, network, user_agent,
                         created_at, last_used_at, expires_at, absolute_expires_at)
SELECT l, m, 'mitra', now(), decode(repeat('00', 32), 'hex'), 'bench', 'bench', now(), now(),
       now() + interval '1 day', now() + interval '1 day'
FROM unnest($1::uuid[], $2::uuid[]) AS u (m, l)
"""
_ONLINE = """
INSERT INTO availability.mitra_status
    (mitra_id, is_online, went_online_at, online_login_id, last_heartbeat_at)
SELECT m, true, now(), l, now() FROM unnest($1::uuid[], $2::uuid[]) AS u (m, l)
"""
_INTERVALS = """
INSERT INTO availability.online_intervals (mitra_id, started_at)
SELECT m, now() FROM unnest($1::uuid[]) AS u (m)
"""
_AGE = """
UPDATE availability.mitra_status SET last_heartbeat_at = to_timestamp($2)
WHERE mitra_id = ANY ($1::uuid[])
"""
_BEATEN = """
SELECT mitra_id FROM availability.mitra_status
WHERE is_online AND mitra_id = ANY ($1::uuid[]) AND last_heartbeat_at >= to_timestamp($2)
"""
_DEACTIVATE = """
UPDATE auth.mitras SET is_active = false, version = version + 1, deactivated_at = now()
WHERE mitra_id = $1
"""


@dataclass(frozen=True, slots=True)
class Mitra:
    """One who beats."""

    mitra_id: UUID
    login_id: UUID
    token: str


class Site:
    """A database with mitras who are online, and the services that take their beats."""

    def __init__(self, rig: Rig, database: TestDatabase, mint: Mint) -> None:
        self.rig = rig
        self.mint = mint
        self.mitras: list[Mitra] = []
        self.key_set_url = ""
        self._database = database
        self._services: dict[str, tuple[Process, int]] = {}

    @classmethod
    async def of(cls, rig: Rig) -> "Site":
        """Return the run's site; made when first wanted."""
        return await rig.once("site", lambda: cls._open(rig))

    @classmethod
    async def _open(cls, rig: Rig) -> "Site":
        site = cls(rig, await rig.database(), Mint(SystemClock()))
        rig.say(f"inviting {MITRAS} mitras")
        site.mitras = [site.invite() for _ in range(MITRAS + _SPARE)]
        await site._settle_in()
        await site._publish_keys()
        return site

    def invite(self, like: Mitra | None = None) -> Mitra:
        """Make a mitra with a token; `like` another one, only the token is new (a refresh)."""
        mitra, login = (like.mitra_id, like.login_id) if like else (new_id(), new_id())
        claims = self.mint.claims(
            role="mitra", life=_TOKEN_SECONDS, sub=str(mitra), sid=str(login), gen=2 if like else 1
        )
        return Mitra(mitra, login, self.mint.sign(claims))

    async def service(self, name: str, *, replica: str = "one") -> tuple[Process, int]:
        """Start a service of the product, as production would; return it and its port."""
        label = f"{name}-{replica}"
        if label not in self._services or not self._services[label][0].running:
            self.rig.say(f"starting {name}")
            port = ports.free_port()
            env = {**await self.environment(name, port), "REPLICA": label}
            process = await self.rig.start(label, python(name), port=port, env=env)
            await self._until_ready(port)
            self._services[label] = process, port
        return self._services[label]

    async def aged(self, mitras: Sequence[Mitra]) -> int:
        """Make their last beats ten seconds older; returns since when a beat must be a new one."""
        # Who is not in the mirror yet would come there from Postgres, with the beat of now.
        await eventually(lambda: self._mirrored(mitras), timeout=60)
        async with self.valkey() as client:
            seconds, _ = await client.time()
            before = {str(one.mitra_id): (seconds - 10) * 1000 for one in mitras}
            for key in (keys.ONLINE, keys.AVAILABLE):
                await client.zadd(key, before, xx=True)
        async with self._database.admin() as admin:
            await admin.execute(_AGE, list(before), seconds - 10)
        return (int(seconds) - 5) * 1000

    async def unstored(self, mitras: Sequence[Mitra], *, since_ms: int) -> int:
        """Count whose beat the product has stored nowhere since a moment, in ms.

        A beat is in the mirror, or in Postgres when the mirror was too slow to take it.
        """
        ids = [str(one.mitra_id) for one in mitras]
        async with self.valkey() as client:
            scores = await client.zmscore(keys.ONLINE, ids)
        async with self._database.admin() as admin:
            rows = await admin.fetch(_BEATEN, ids, since_ms / 1000)
        written = {str(row["mitra_id"]) for row in rows}
        return sum(
            (score is None or score < since_ms) and mitra not in written
            for mitra, score in zip(ids, scores, strict=True)
        )

    async def deactivate(self, mitra: Mitra) -> None:
        """Switch a mitra off as auth does: its row, then its event; wait until it is known."""
        self.mitras.remove(mitra)
        async with self._database.admin() as admin:
            await admin.execute(_DEACTIVATE, mitra.mitra_id)
        runner = Runner()
        bus = await Bus.connect((await self.rig.nats()).url, name="bench", runner=runner)
        at, identity = datetime.now(UTC), new_id()
        body = (
            f'{{"at":"{at.isoformat()}","mitra_id":"{mitra.mitra_id}","version":2,"reason":null}}'
        )
        try:
            await bus.publish_event(
                id=identity,
                subject="evt.auth.mitra_deactivated.v1",
                body=body.encode(),
                headers={"Temani-Id": str(identity), "Temani-Time": at.isoformat()},
            )
            await eventually(lambda: self._is_out(mitra), timeout=30)
        finally:
            await runner.stop(budget=2)

    async def beat(self, port: int, token: str) -> int:
        """Send one beat over HTTP; return the status."""
        address = f"http://{ports.LOOPBACK}:{port}{BEAT_PATH}"
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(address) as answer:
            await answer.read()
            return answer.status

    @contextlib.asynccontextmanager
    async def valkey(self) -> Any:
        """Open a plain client of the run's Valkey."""
        client = valkey_client.Valkey.from_url((await self.rig.valkey()).url)
        try:
            yield client
        finally:
            await client.aclose()

    async def _mirrored(self, mitras: Sequence[Mitra]) -> bool:
        async with self.valkey() as client:
            return None not in await client.zmscore(keys.ONLINE, [str(m.mitra_id) for m in mitras])

    async def _is_out(self, mitra: Mitra) -> bool:
        async with self.valkey() as client:
            return await client.zscore(keys.ONLINE, str(mitra.mitra_id)) is None

    async def _settle_in(self) -> None:
        """Write the mitras down as auth and availability would have, and vouch for their logins."""
        people = [one.mitra_id for one in self.mitras]
        logins = [one.login_id for one in self.mitras]
        connection = await asyncpg.connect(self._database.admin_url)
        try:
            await connection.execute(_PEOPLE, people)
            await connection.execute(_LOGINS, people, logins)
            await connection.execute(_ONLINE, people, logins)
            await connection.execute(_INTERVALS, people)
            await connection.execute("ANALYZE")
        finally:
            await connection.close()
        async with self.valkey() as client:
            await client.set(SENTINEL, "bench")

    async def _publish_keys(self) -> None:
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(self.mint.jwks())

        app = web.Application()
        app.router.add_get("/jwks.json", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self.rig.on_close(runner.cleanup)
        port = ports.free_port()
        await web.TCPSite(runner, ports.LOOPBACK, port).start()
        self.key_set_url = f"http://{ports.LOOPBACK}:{port}/jwks.json"

    async def environment(self, name: str, port: int) -> dict[str, str]:
        """Return the environment of a service, or of a program that is wired like it."""
        return {
            "HTTP_HOST": ports.LOOPBACK,
            "HTTP_PORT": str(port),
            "DATABASE_URL": self._database.url(name),
            "VALKEY_URL": (await self.rig.valkey()).url,
            "NATS_URL": (await self.rig.nats()).url,
            "JWKS_URL": self.key_set_url,
            "TOKEN_ALGORITHM": "ES256",
            "ENVIRONMENT": "production",
            "LOG_FORMAT": "json",
            "REPLICA": "lane",
            "RATE_LIMITS": _RATES,
            "PAYMENT_SERVER_KEY": "bench",
        }

    async def _until_ready(self, port: int) -> None:
        async with aiohttp.ClientSession() as http:

            async def ready() -> bool:
                async with http.get(f"http://{ports.LOOPBACK}:{port}/readyz") as answer:
                    return answer.status == 200

            await eventually(ready, timeout=60)


async def scraped(port: int) -> dict[str, float]:
    """Return a service's metrics, by name with labels."""
    address = f"http://{ports.LOOPBACK}:{port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        lines = (await answer.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
