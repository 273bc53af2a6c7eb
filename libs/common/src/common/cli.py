"""The one main of every service: `python -m pairing [run|migrate|contract|check-settings|dlq]`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiohttp import web

from common import log
from common.dlq import add_arguments as add_dlq_arguments
from common.dlq import run as run_dlq
from common.migrate import MigrationError, migrate
from common.process import run_service
from common.runner import Runner
from common.settings import ServiceSettings, load_settings
from common.web import serve_messages

if TYPE_CHECKING:
    from common.contract import Contract

S = TypeVar("S", bound=ServiceSettings)

OK, FAILED = 0, 1


@dataclass(frozen=True)
class Command(Generic[S]):
    """Something more that a service's command line can do; `run` returns the exit code."""

    help: str
    run: Callable[[S, argparse.Namespace], Awaitable[int]]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def main(
    *,
    service: str,
    settings: type[S],
    build: Callable[[S, Runner], Awaitable[web.Application]],
    home: Path,
    contract: Callable[[], "Contract"] | None = None,
    commands: Mapping[str, Command[S]] | None = None,
) -> None:
    """Do what the command line says and exit; without a word, run the service."""
    extra = dict(commands or {})
    arguments = _parser(service, extra).parse_args()
    command: str = arguments.command or "run"
    if command == "contract":
        sys.exit(_contract(contract, home / "contract", check=arguments.check))
    loaded = load_settings(settings)
    if command == "check-settings":
        _say(_shown(loaded))
        sys.exit(OK)
    out = sys.stdout if command == "run" else sys.stderr
    log.configure(service, level=loaded.log_level, fmt=loaded.log_format, to=out)
    match command:
        case "run":
            code = run_service(service, settings=loaded, build=_showing_messages(build, home))
        case "migrate":
            work = _migrate(service, loaded, home / "migrations", stage=arguments.stage)
            code = asyncio.run(work)
        case "dlq":
            code = asyncio.run(run_dlq(service, loaded, arguments))
        case _:
            code = asyncio.run(_awaited(extra[command].run(loaded, arguments)))
    sys.exit(code)


def _showing_messages(
    build: Callable[[S, Runner], Awaitable[web.Application]], home: Path
) -> Callable[[S, Runner], Awaitable[web.Application]]:
    """Build the application and show the committed messages beside its routes."""

    async def built(settings: S, runner: Runner) -> web.Application:
        app = await build(settings, runner)
        serve_messages(app, home / "contract" / "asyncapi.json")
        return app

    return built


def _parser(service: str, commands: Mapping[str, Command[Any]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {service}")
    words = parser.add_subparsers(dest="command", metavar="command")
    words.add_parser("run", help="run the service until SIGTERM (the default)")
    migrating = words.add_parser("migrate", help="bring the schema up to the files")
    migrating.add_argument("--stage", choices=("pre", "post", "all"), default="all")
    writing = words.add_parser("contract", help="write the API documents into contract/")
    writing.add_argument("--check", action="store_true", help="only say whether they are current")
    words.add_parser("check-settings", help="read the environment and say what is wrong with it")
    add_dlq_arguments(words.add_parser("dlq", help="events that could not be handled"))
    for name, command in commands.items():
        command.arguments(words.add_parser(name, help=command.help))
    return parser


async def _migrate(service: str, settings: ServiceSettings, folder: Path, *, stage: Any) -> int:
    url = settings.migrate_database_url or settings.database_url
    try:
        applied = await migrate(url, service=service, folder=folder, stage=stage)
    except MigrationError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    _say("\n".join(applied) if applied else "nothing to do")
    return OK


def _contract(describe: Callable[[], "Contract"] | None, folder: Path, *, check: bool) -> int:
    from common.contract import export  # noqa: PLC0415 - a running service needs none of it

    if describe is None:
        sys.stderr.write("This service has no contract.\n")
        return FAILED
    if not check:
        export(describe(), folder)
        return OK
    with TemporaryDirectory() as fresh:
        export(describe(), Path(fresh))
        stale = _differences(folder, Path(fresh))
    for name in stale:
        sys.stderr.write(f"{folder / name} is not current\n")
    return FAILED if stale else OK


def _differences(present: Path, fresh: Path) -> Sequence[str]:
    def texts(folder: Path) -> dict[str, bytes]:
        files = (file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    old, new = texts(present), texts(fresh)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _shown(settings: ServiceSettings) -> str:
    values = settings.model_dump(mode="json")
    return json.dumps(log.redact(None, "", values), indent=2, default=str)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


async def _awaited(work: Awaitable[int]) -> int:
    return await work
