"""A service with one of everything, for test_process to start, ask and end."""

import asyncio
import os
import time
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel

from common.bus import Bus
from common.cli import main
from common.clock import SystemClock
from common.db import Database
from common.log import get_logger
from common.outbox import Outbox
from common.runner import Runner
from common.settings import ServiceSettings
from common.web import Context, Health, Routes, build_app


class Settings(ServiceSettings):
    """One more than every service has: how to misbehave at the end."""

    misbehave: str = ""


class Slept(BaseModel):
    """How long the answer took."""

    seconds: float


routes = Routes()


@routes.get("/sleep/{tenths}")
async def sleep(ctx: Context, tenths: int) -> Slept:
    """Answer after a while."""
    get_logger("tiny").info("sleeping")
    await asyncio.sleep(tenths / 10)
    return Slept(seconds=tenths / 10)


async def build(settings: Settings, runner: Runner) -> web.Application:
    """Wire the service."""
    db = await Database.connect(settings.database_url, name="tiny")
    runner.on_stop(db.close)
    bus = await Bus.connect(settings.nats_url, name="tiny", runner=runner)
    Outbox(service="auth", db=db, bus=bus, runner=runner, clock=SystemClock())
    if settings.misbehave == "cling":
        runner.background(_cling(), name="cling")
    if settings.misbehave == "block":
        runner.on_stop(_block)
    return build_app(
        settings=settings,
        service="tiny",
        title="Tiny",
        routes=[routes],
        statuses={},
        verifier=None,
        revocations=None,
        health=Health(),
    )


async def _cling() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def _block() -> None:
    time.sleep(60)  # noqa: ASYNC251 - the fault under test


if __name__ == "__main__":
    main(
        service="auth",
        settings=Settings,
        build=build,
        home=Path(os.environ["TINY_HOME"]),
    )
