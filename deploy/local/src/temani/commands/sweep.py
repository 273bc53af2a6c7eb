"""temani sweep: which auto-offline pass was stopped, and an operator's word that it may go on."""

import argparse
import asyncio
from typing import Any
from uuid import UUID

from temani import running
from temani.commands import output
from temani.commands.control import as_operator
from temani.seeding import call

_BRAKE = "/api/control/availability/brake"
_REFUSED = {404, 409}
Json = dict[str, Any]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    words = commands.add_parser("sweep", help="the sweep that takes silent mitras offline")
    actions = words.add_subparsers(metavar="ACTION", required=True)
    brake = actions.add_parser(
        "brake", help="the pass that was stopped; exit code 1 while one needs an operator"
    )
    brake.set_defaults(run=run_brake)
    confirm = actions.add_parser("confirm", help="let the stopped pass go on, as the operator")
    confirm.add_argument("brake_id", type=_id, help="which one, as `temani sweep brake` shows it")
    confirm.set_defaults(run=run_confirm)


def run_brake(args: argparse.Namespace) -> int:
    """Run `temani sweep brake`: exit code 1 while a stopped pass needs an operator."""
    found = asyncio.run(_read(running.find()))
    output.tell(args, found, lambda: _shown(found["brake"]))
    needed = found["brake"] is not None and found["brake"]["needs_operator"]
    return output.FAILED if needed else output.OK


def run_confirm(args: argparse.Namespace) -> int:
    """Run `temani sweep confirm`: exit code 1 when that pass does not wait any more."""
    status, answer = asyncio.run(_confirm(running.find(), args.brake_id))
    if status in _REFUSED:
        raise output.Failed(f"{answer['detail']} `temani sweep brake` shows what waits now")
    output.tell(
        args,
        answer,
        lambda: f"{answer['mitras']} mitras go offline with the next pass unless they beat",
    )
    return output.OK


async def _read(stack: running.Running) -> Json:
    async with as_operator(stack) as http:
        _, found = await call(http, "GET", _BRAKE, None, accept={200})
    return found


async def _confirm(stack: running.Running, brake_id: UUID) -> tuple[int, Json]:
    body = {"brake_id": str(brake_id)}
    async with as_operator(stack) as http:
        return await call(http, "POST", f"{_BRAKE}/confirm", body, accept={200, *_REFUSED})


def _shown(brake: Json | None) -> str:
    if brake is None:
        return "no pass is stopped"
    numbers = (
        f"stopped since {brake['since']}: {brake['mitras']} of {brake['online']} online mitras "
        f"would go offline at once; {brake['fresh']} are heard"
    )
    return f"{numbers}\n{_next(brake)}"


def _next(brake: Json) -> str:
    if brake["confirmed_at"] is not None:
        by, at = brake["confirmed_by"], brake["confirmed_at"]
        return f"confirmed by {by} at {at}: they go with the next pass, unless they beat"
    if not brake["needs_operator"]:
        return "at least half are heard: the next pass takes those offline who are still silent"
    return (
        "fewer than half are heard: see first whether calls reach Temani; if these mitras are "
        f"really gone: temani sweep confirm {brake['brake_id']}"
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no brake's id") from None
