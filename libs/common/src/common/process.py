"""The life of a service's process: build, listen, ready, wait for a signal, leave in order."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop
from aiohttp import web
from prometheus_client import Histogram

from common import baseline
from common.log import get_logger
from common.runner import Runner
from common.settings import ServiceSettings
from common.web import HEALTH, EdgeRunner, Health

_log = get_logger("process")
_lag = Histogram(
    "loop_lag_seconds",
    "How late the event loop was",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5),
)

S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[S, Runner], Awaitable[web.Application]]

OK, FAILED, TORN = 0, 1, 3
_LAG_STEP = 0.25
# Collections stop the loop, full ones the longest: after start-up nearly everything that is alive
# stays so. Young ones stay small: while thousands connect, 25,000 objects take 12 ms.
_GC_THRESHOLD = (5000, 5, 400)
_BACKLOG = 1024


def run_service(service: str, *, settings: S, build: Build[S]) -> int:
    """Run until SIGTERM or SIGINT and return the exit code."""
    runner = Runner()
    factory = uvloop.new_event_loop if settings.event_loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as loop:
        code = loop.run(_live(service, settings=settings, build=build, runner=runner))
        if runner.stuck:
            # Closing the loop would wait for them for ever; everything else is closed.
            logging.shutdown()
            os._exit(code)
    return code


async def _live(service: str, *, settings: S, build: Build[S], runner: Runner) -> int:
    asked = _signals()
    app = await _unless(asked, build(settings, runner))
    if app is None:
        await runner.stop()
        return OK if asked.is_set() else FAILED
    listener = listener_of(app)
    health = app[HEALTH]
    try:
        await _listen(listener, settings)
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        _log.error("listen_failed", address=where, error=str(error))
        await runner.stop()
        return FAILED
    runner.spawn("loop-lag", _measure_lag)
    _settle_memory()
    health.ready = True
    _log.info(
        "ready",
        service=service,
        replica=settings.replica,
        addresses=str(listener.addresses),
        loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
    )
    await asked.wait()
    await _leave(runner, listener, health)
    return OK


def listener_of(app: web.Application) -> web.AppRunner:
    """Return what serves the application, with our time limits instead of aiohttp's."""
    return EdgeRunner(
        app,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=baseline.HTTP_KEEPALIVE_TIMEOUT,
        shutdown_timeout=baseline.HTTP_SHUTDOWN_TIMEOUT,
    )


async def _listen(listener: web.AppRunner, settings: ServiceSettings) -> None:
    await listener.setup()
    site = web.TCPSite(listener, settings.http_host, settings.http_port, backlog=_BACKLOG)
    await site.start()


async def _leave(runner: Runner, listener: web.AppRunner, health: Health) -> None:
    """Leave in order: unready, no new connections, sockets closed, bus drained, pools closed."""
    started = time.monotonic()
    _tear_after(baseline.EXIT_WITHIN - 0.3)
    health.draining = True
    health.ready = False
    _log.info("leaving")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(baseline.HTTP_SHUTDOWN_TIMEOUT):
            await listener.cleanup()
    spent = time.monotonic() - started
    await runner.stop(budget=max(1.0, baseline.EXIT_WITHIN - 1.0 - spent))
    _log.info("left", seconds=round(time.monotonic() - started, 3))


async def _unless(
    asked: asyncio.Event, building: Awaitable[web.Application]
) -> web.Application | None:
    """Return what was built, or None when it failed or a signal came first."""
    build = asyncio.ensure_future(building)
    wait = asyncio.ensure_future(asked.wait())
    await asyncio.wait((build, wait), return_when=asyncio.FIRST_COMPLETED)
    if build.done():
        wait.cancel()
        if (error := build.exception()) is not None:
            _log.error("start_failed", exc_info=error)
            return None
        return build.result()
    build.cancel()
    await asyncio.wait((build,), timeout=2)
    return None


def _signals() -> asyncio.Event:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if asked.is_set():
            # Whoever asks twice means now.
            os._exit(TORN)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    return asked


def _tear_after(seconds: float) -> None:
    """End the process even if the loop is stuck: the orchestrator would, with less grace."""

    def tear() -> None:
        _log.error("leaving_took_too_long")
        os._exit(TORN)

    timer = threading.Timer(seconds, tear)
    timer.daemon = True
    timer.start()


async def _measure_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_STEP
        await asyncio.sleep(_LAG_STEP)
        _lag.observe(max(0.0, loop.time() - due))


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)
