"""`temani demo`: bots that behave like people run the whole product, and an oracle checks it."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from common import log
from common.migrate import MigrationError
from temani import layout, state
from temani.demo.display import LiveDisplay, PlainDisplay, render_summary
from temani.demo.numbers import Summary
from temani.demo.opening import ServiceClosed
from temani.demo.run import run_demo
from temani.operators import OperatorFailed
from temani.seeding import SeedFailed
from temani.servers import StartFailed
from temani.stack import Options, Stack

PROFILE = "demo"
OK, FAILED, NOT_NOW = 0, 1, 3
EXPECTED = (StartFailed, SeedFailed, OperatorFailed, MigrationError, OSError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        metavar="SECONDS",
        help="end by itself after this long",
    )
    parser.add_argument("--seed", type=int, help="deal the same scenes again")
    parser.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds, such as 30")
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on its own."""
    parser = argparse.ArgumentParser(prog="temani demo", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when every path was walked and every invariant held."""
    log.configure(
        "temani", level="error", fmt="console"
    )  # else the oracle's look at Valkey is told
    return asyncio.run(_perform(args))


async def _perform(args: argparse.Namespace) -> int:
    stop = _stop_on_signal()
    try:
        return await _with_stack(args, stop)
    except state.AlreadyRunning as error:
        _complain(str(error))
        return NOT_NOW
    except ServiceClosed as closed:
        _complain(f"✗ {closed}")
        return NOT_NOW
    except (*EXPECTED, BaseExceptionGroup) as failed:
        causes = _causes(failed)
        if not all(isinstance(one, EXPECTED) for one in causes):
            raise
        for cause in causes:
            _complain(f"✗ {cause}")
        return FAILED


async def _with_stack(args: argparse.Namespace, stop: asyncio.Event) -> int:
    async with _stack(args, stop) as now:
        if now.profile != PROFILE:
            _complain(
                f"the stack that runs here has the profile {now.profile!r}; stop it "
                "(`make down`), the demo starts its own"
            )
            return NOT_NOW
        if stop.is_set():
            return FAILED
        return await _demonstrate(args, now, stop)


async def _demonstrate(args: argparse.Namespace, now: state.State, stop: asyncio.Event) -> int:
    console = Console(stderr=args.json)
    live = console.is_terminal
    out = sys.stderr if args.json else sys.stdout
    with LiveDisplay(console) if live else PlainDisplay(out) as display:
        summary = await run_demo(now, args.seconds, seed=args.seed, display=display, stop=stop)
    write(summary, layout.STATE)
    print(json.dumps(summary.as_json(), indent=2) if args.json else render_summary(summary))
    if args.keep:
        stop.clear()
        _complain(f"the stack stays at {now.urls['gateway']} until Ctrl-C")
        await stop.wait()
    # Without a time the run is a show: who ends it early has not made it fail.
    good = summary.ok if args.seconds is not None else not summary.violations
    return OK if good else FAILED


def write(summary: Summary, folder: Path) -> Path:
    """Keep the summary where other tools find it."""
    place = folder / "demo.json"
    place.write_text(json.dumps(summary.as_json(), indent=2))
    return place


@asynccontextmanager
async def _stack(args: argparse.Namespace, stop: asyncio.Event) -> AsyncIterator[state.State]:
    """Use the stack that runs here, or start one and stop it afterwards."""
    if state.is_running():
        yield state.load()
        return
    say = _complain if args.json else print
    with state.only_one():
        stack = Stack(Options(profile=PROFILE), say=say)
        say("starting Temani …")
        starting = asyncio.ensure_future(stack.start())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
            yield stack.state()
        finally:
            stopped.cancel()
            starting.cancel()
            await asyncio.gather(starting, stopped, return_exceptions=True)
            await stack.stop()


def _stop_on_signal() -> asyncio.Event:
    """Return what the first Ctrl-C sets; the second one ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if stop.is_set():
            loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received, number)
    return stop


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _causes(failed: BaseException) -> list[BaseException]:
    if isinstance(failed, BaseExceptionGroup):
        return [cause for one in failed.exceptions for cause in _causes(one)]
    return [failed]
