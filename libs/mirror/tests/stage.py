"""What every test of the mirror plays with."""

from dataclasses import dataclass

import valkey.asyncio as valkey_client

from common.db import Database
from common.runner import Runner
from mirror import MirrorKit
from mirror.testing import World


@dataclass(frozen=True)
class Stage:
    """A world of mitras, the mirror of it, and the raw server beneath."""

    world: World
    kit: MirrorKit
    db: Database
    raw: valkey_client.Valkey
    runner: Runner
    url: str
    database_url: str

    def now(self) -> float:
        """Return the present moment of the clock by which beats are received."""
        return self.kit.mirror._clock.monotonic()
