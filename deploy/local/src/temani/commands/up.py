"""temani up, temani down: start the whole stack and stay with it; stop it from elsewhere."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from temani import banner, elsewhere, layout, profiles, state
from temani.commands import output
from temani.places import Options
from temani.stack import Stack

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    up = commands.add_parser("up", help="start everything, seed it, and stay until Ctrl-C")
    up.add_argument("--profile", choices=profiles.names(), default="local")
    up.add_argument(
        "--replicas",
        metavar="SERVICE=N",
        action="append",
        default=[],
        type=_replicas,
        help="run a service several times, e.g. --replicas pairing=2",
    )
    for option, server in elsewhere.SERVERS.items():
        up.add_argument(
            option,
            metavar="URL",
            type=_address(option),
            help=f"use this {server.name} instead of starting one, e.g. {server.example}",
        )
    up.add_argument("--no-seed", action="store_true", help="create no people and prices")
    up.add_argument("--detach", action="store_true", help="return when it runs; stop: make down")
    up.set_defaults(run=run)
    down = commands.add_parser("down", help="stop the stack that runs here")
    down.set_defaults(run=run_down)


def run(args: argparse.Namespace) -> int:
    """Run `temani up`."""
    if args.detach:
        return _detach(args)
    options = _options(args)
    try:
        with state.only_one():
            return asyncio.run(_live(args, options))
    except state.AlreadyRunning as error:
        output.complain(str(error))
        return output.NOT_NOW


def _options(args: argparse.Namespace) -> Options:
    return Options(
        profile=args.profile,
        replicas=dict(args.replicas),
        postgres_url=args.postgres_url,
        valkey_url=args.valkey_url,
        nats_url=args.nats_url,
        seed=not args.no_seed,
    )


def run_down(args: argparse.Namespace) -> int:
    """Run `temani down`."""
    pid = state.load().launcher_pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while state.is_running():
        if time.monotonic() > deadline:
            raise output.Failed(f"the launcher (process {pid}) is still stopping")
        time.sleep(0.05)
    output.tell(args, {"stopped": True}, lambda: "stopped")
    return output.OK


async def _live(args: argparse.Namespace, options: Options) -> int:
    began = time.monotonic()
    say = output.complain if args.json else print
    await elsewhere.look(options)
    stack = Stack(options, say=say)
    orders = _Orders(say)
    say(f"starting Temani in {options.folder} …")
    starting = asyncio.ensure_future(stack.start())
    ended = asyncio.ensure_future(orders.stop.wait())
    await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
    failed = await _failure(starting) if starting.done() else False
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    elif not failed:
        now = stack.state()
        seconds = time.monotonic() - began
        output.tell(
            args, now.as_json(), lambda: banner.render(now, seconds=seconds, moved=stack.moved)
        )
        sys.stdout.flush()
        await ended
    ended.cancel()
    await _leave(stack, orders, say)
    return output.FAILED if failed else output.OK


async def _failure(starting: "asyncio.Future[None]") -> bool:
    errors = [starting.exception()]
    causes: list[BaseException] = []
    while errors:
        error = errors.pop()
        if isinstance(error, BaseExceptionGroup):
            errors += error.exceptions
        elif error is not None:
            causes.append(error)
    for cause in causes:
        if not isinstance(cause, output.EXPECTED):
            raise cause
        output.complain(f"✗ {cause}")
    return bool(causes)


async def _leave(stack: Stack, orders: "_Orders", say: "output.Say") -> None:
    say("stopping … (Ctrl-C again kills)")
    stopping = asyncio.ensure_future(stack.stop())
    killing = asyncio.ensure_future(orders.kill.wait())
    await asyncio.wait({stopping, killing}, return_when=asyncio.FIRST_COMPLETED)
    killing.cancel()
    if not stopping.done():
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await stack.kill()
        say("killed")
        return
    await stopping
    say("stopped; nothing is left behind")


class _Orders:
    """Signals: the first asks to stop, the second to kill."""

    def __init__(self, say: "output.Say") -> None:
        self.stop = asyncio.Event()
        self.kill = asyncio.Event()
        self._say = say
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        if self.stop.is_set():
            self.kill.set()
        self.stop.set()


def _detach(args: argparse.Namespace) -> int:
    if state.is_running():
        state.refuse_second()
    asyncio.run(elsewhere.look(_options(args)))  # told here rather than in a log
    layout.STATE.mkdir(exist_ok=True)
    log = layout.STATE / "launcher.log"
    command = [sys.executable, "-m", "temani", *_without_detach(sys.argv[1:])]
    with log.open("wb") as sink:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=layout.ROOT,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        now = state.last()
        if now is not None and now.ready and now.launcher_pid == child.pid:
            output.tell(args, now.as_json(), log.read_text)
            return output.OK
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise output.Failed(f"the stack did not start; {log} says:\n{_end(log)}")


def _without_detach(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if argument not in {"--detach", "--json"}]


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-60:])


def _address(option: str) -> Callable[[str], str]:
    """Return what checks an option's address as far as one can without asking anybody."""

    def check(text: str) -> str:
        try:
            return elsewhere.fit(option, text)
        except elsewhere.NoServer as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check


def _replicas(text: str) -> tuple[str, int]:
    service, _, number = text.partition("=")
    if service not in layout.SERVICES or not number.isdigit() or not 1 <= int(number) <= 9:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write SERVICE=N with 1 to 9 of {', '.join(layout.SERVICES)}"
        )
    return service, int(number)
