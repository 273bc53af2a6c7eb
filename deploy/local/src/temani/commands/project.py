"""temani contract, doctor, demo: the repository and this machine."""

import argparse
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from temani import binaries, environment, gateway, layout, ports, state
from temani.commands import output

_FREE_BYTES = 1 << 30


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    doctor = commands.add_parser("doctor", help="check that this machine can run Temani")
    doctor.set_defaults(run=run_doctor)
    words = commands.add_parser("contract", help="the services' API documents").add_subparsers(
        metavar="ACTION", required=True
    )
    for action, meaning in (
        ("export", "write them into each service's contract/"),
        ("check", "fail if they are not current"),
    ):
        word = words.add_parser(action, help=meaning)
        word.add_argument("service", nargs="?", choices=layout.SERVICES)
        word.set_defaults(run=run_contract, action=action)
    if importlib.util.find_spec("temani.demo.main") is not None:
        demo = commands.add_parser(
            "demo", help="bots live through the whole product", add_help=False
        )
        demo.set_defaults(run=run_demo, passes_rest=True)


def run_contract(args: argparse.Namespace) -> int:
    """Run `temani contract export` and `temani contract check`."""
    services = [args.service] if args.service else list(layout.SERVICES)
    stale: dict[str, str] = {}
    for service in services:
        words = ["contract", "--check"] if args.action == "check" else ["contract"]
        done = subprocess.run(
            [*environment.module(service), *words],
            cwd=layout.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            stale[service] = (done.stderr or done.stdout).strip()
    word = "current" if args.action == "check" else "written"
    lines = [f"{service}: {stale.get(service, word)}" for service in services]
    output.tell(args, {"failed": stale, "services": services}, lambda: "\n".join(lines))
    return output.FAILED if stale else output.OK


def run_doctor(args: argparse.Namespace) -> int:
    """Run `temani doctor`."""
    findings = [_examine(name, check) for name, check in _CHECKS]
    rows = [["✓" if good else "✗", name, text] for name, good, text in findings]
    value = [{"check": name, "ok": good, "says": text} for name, good, text in findings]
    output.tell(args, value, lambda: output.table(rows))
    return output.OK if all(good for _, good, _ in findings) else output.FAILED


def run_demo(args: argparse.Namespace) -> int:
    """Run `temani demo` with whatever follows."""
    from temani.demo.main import main  # noqa: PLC0415 - only this command needs it

    return main([*(["--json"] if args.json else []), *args.rest])


def _examine(name: str, check: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, check()
    except (output.Failed, binaries.ProgramMissing, OSError) as error:
        return name, False, str(error)


def _python() -> str:
    return f"{platform.python_version()} ({sys.prefix})"


def _program(path: Callable[[], Path]) -> Callable[[], str]:
    def check() -> str:
        return _version([str(path()), "--version"])

    return check


def _version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise output.Failed(f"does not run: {done.stderr.strip()}")
    return done.stdout.strip().splitlines()[0]


def _caddyfile() -> str:
    env = gateway.environment(port=8080, admin_port=8019, upstreams={}, home=layout.STATE)
    done = subprocess.run(
        gateway.command("validate"),
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    if done.returncode != 0:
        raise output.Failed(done.stderr.strip().splitlines()[-1])
    return "valid"


def _disk() -> str:
    free = shutil.disk_usage(layout.ROOT).free
    if free < _FREE_BYTES:
        raise output.Failed(f"only {free >> 20} MiB free; the stack wants 1 GiB")
    return f"{free >> 30} GiB free"


def _gateway_port() -> str:
    if state.is_running():
        return f"a stack runs at {state.load().urls['gateway']}"
    return "8080 is free" if ports.is_free(8080) else "8080 is taken; `temani up` picks another"


_CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("Python", _python),
    ("Postgres", _program(lambda: binaries.postgres_folder() / "postgres")),
    ("Valkey", _program(binaries.valkey_server)),
    ("NATS", _program(binaries.nats_server)),
    ("Caddy", _program(binaries.caddy)),
    ("Caddyfile", _caddyfile),
    ("disk", _disk),
    ("gateway port", _gateway_port),
)
