"""What every service connects to first, and how its health sees that."""

from dataclasses import dataclass

from common.bus import Bus
from common.clock import Clock, SystemClock
from common.db import Database
from common.revocation import Revocations
from common.runner import Runner
from common.settings import ServiceSettings
from common.tokens import Verifier, build_verifier
from common.web import Health


@dataclass(frozen=True, slots=True)
class Connected:
    """The clock, the pool and the bus of a process; closed when its runner stops."""

    settings: ServiceSettings
    runner: Runner
    clock: Clock
    db: Database
    bus: Bus

    def verifier(self) -> Verifier:
        """Return what verifies access tokens as the settings say."""
        secret = self.settings.token_secret
        return build_verifier(
            algorithm=self.settings.token_algorithm,
            jwks_url=self.settings.jwks_url,
            secret=secret.get_secret_value() if secret else None,
            clock=self.clock,
            runner=self.runner,
        )

    def revocations(self) -> Revocations:
        """Return what knows about ended logins."""
        return Revocations(
            db=self.db,
            valkey_url=self.settings.valkey_url,
            bus=self.bus,
            runner=self.runner,
            clock=self.clock,
        )

    def health(self, *, nats_away: str = "away") -> Health:
        """Return a health that watches Postgres and NATS; the service adds its own."""
        health = Health()

        async def postgres() -> str | None:
            async with self.db.connection() as connection:
                await connection.fetchval("SELECT 1")
            return None

        async def nats() -> str | None:
            return None if self.bus.up else nats_away

        health.depend("postgres", postgres)
        health.depend("nats", nats)
        return health


async def open_database(service: str, settings: ServiceSettings, runner: Runner) -> Database:
    """Open the pool and have it closed in the end."""
    db = await Database.connect(
        settings.database_url,
        name=f"{service}-{settings.replica}",
        min_size=settings.database_pool_min,
        max_size=settings.database_pool_max,
        statement_cache_size=settings.statement_cache_size,
    )
    runner.on_stop(db.close)
    return db


async def connect(service: str, settings: ServiceSettings, runner: Runner) -> Connected:
    """Connect to Postgres and NATS; either may be away."""
    db = await open_database(service, settings, runner)
    bus = await Bus.connect(settings.nats_url, name=f"{service}-{settings.replica}", runner=runner)
    return Connected(settings=settings, runner=runner, clock=SystemClock(), db=db, bus=bus)
