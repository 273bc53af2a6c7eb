"""Bring every service's schema up to its files, all five at once, in this process."""

import asyncio
from collections.abc import Sequence

from common import log
from common.migrate import migrate
from temani import environment, layout
from temani.keys import Keys


async def run(
    admin_url: str, keys: Keys, *, services: Sequence[str] = layout.SERVICES
) -> dict[str, list[str]]:
    """Migrate and return the names of the applied files by service.

    Services do not wait for each other: SQL names a neighbour only inside function bodies.
    """
    # The result says what was applied; only what went wrong on the way is worth a line.
    log.configure("temani", level="warning", fmt="console")

    async def one(service: str) -> list[str]:
        url = environment.migrate_url(service, admin_url, keys)
        folder = layout.service_home(service) / "migrations"
        return await migrate(url, service=service, folder=folder)

    applied = await asyncio.gather(*(one(service) for service in services))
    return dict(zip(services, applied, strict=True))
