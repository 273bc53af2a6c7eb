"""temani reset, migrate, seed, operator: the data of the stack that runs here."""

import argparse
import asyncio
import shutil
import sys

from temani import layout, migrations, operators, postgres_setup, profiles, running, seeding, state
from temani.commands import output


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    reset = commands.add_parser("reset", help="delete all local state: data, secrets, logs")
    reset.set_defaults(run=run_reset)
    migrate = commands.add_parser("migrate", help="migrate the running stack's database")
    migrate.add_argument("service", nargs="?", choices=layout.SERVICES)
    migrate.set_defaults(run=run_migrate)
    seed = commands.add_parser("seed", help="seed people and prices again (safe to repeat)")
    seed.add_argument("--profile", choices=profiles.names(), help="default: the running one's")
    seed.set_defaults(run=run_seed)
    operator = commands.add_parser("operator", help="operators of the control center")
    words = operator.add_subparsers(metavar="ACTION", required=True)
    create = words.add_parser("create", help="create an operator; the password is shown once")
    create.add_argument("--email", required=True)
    create.add_argument("--password-stdin", action="store_true", help="read it, do not make one")
    create.set_defaults(run=run_create_operator)


def run_reset(args: argparse.Namespace) -> int:
    """Run `temani reset`."""
    if state.is_running():
        state.refuse_second()
    existed = layout.STATE.exists()
    shutil.rmtree(layout.STATE, ignore_errors=True)
    if layout.STATE.exists():
        raise output.Failed(f"{layout.STATE} could not be deleted; does it belong to another user?")
    output.tell(
        args,
        {"deleted": str(layout.STATE) if existed else None},
        lambda: f"deleted {layout.STATE}" if existed else "there was nothing to delete",
    )
    return output.OK


def run_migrate(args: argparse.Namespace) -> int:
    """Run `temani migrate`."""
    stack = running.find()
    services = [args.service] if args.service else list(layout.SERVICES)
    applied = asyncio.run(_migrate(stack, services))
    lines = [f"{service}: {', '.join(names) or 'at head'}" for service, names in applied.items()]
    output.tell(args, applied, lambda: "\n".join(lines))
    return output.OK


def run_seed(args: argparse.Namespace) -> int:
    """Run `temani seed`."""
    stack = running.find()
    profile = profiles.load(args.profile or stack.state.profile)
    done = asyncio.run(seeding.run(stack.addresses.gateway_url, profile, stack.keys))
    output.tell(
        args,
        done,
        lambda: f"{done['tiers']} tiers, {done['mitras']} mitras ({done['new_mitras']} new)",
    )
    return output.OK


def run_create_operator(args: argparse.Namespace) -> int:
    """Run `temani operator create`."""
    env = running.find().service_environment("auth")
    given = sys.stdin.readline().rstrip("\n") if args.password_stdin else None
    made = asyncio.run(operators.create(env, email=args.email, password=given))
    shown = [f"{name}: {value}" for name, value in made.items()]
    output.tell(args, made, lambda: "\n".join(shown))
    return output.OK


async def _migrate(stack: running.Running, services: list[str]) -> dict[str, list[str]]:
    admin_url = stack.addresses.postgres_admin_url
    await postgres_setup.prepare(admin_url, passwords=stack.keys.postgres_passwords)
    return await migrations.run(admin_url, stack.keys, services=services)
