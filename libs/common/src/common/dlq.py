"""Dead letters from the command line: look at them, tell them again."""

import argparse
import asyncio
import json
import sys
from uuid import UUID

from common.bus import Bus, BusUnavailable, DeadLetter, DeadLetters
from common.db import Database
from common.runner import Runner
from common.settings import ServiceSettings

OK, FAILED = 0, 1
_PATIENCE = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `list` and `replay`."""
    words = parser.add_subparsers(dest="dlq", required=True)
    listing = words.add_parser("list", help="what waits, oldest first")
    listing.add_argument("--limit", type=int, default=100)
    listing.add_argument("--json", action="store_true")
    again = words.add_parser("replay", help="put events back into their streams")
    which = again.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true")
    which.add_argument("ids", nargs="*", type=UUID, default=[])


async def run(service: str, settings: ServiceSettings, arguments: argparse.Namespace) -> int:
    """Do what the arguments say; return the exit code."""
    runner = Runner()
    db = await Database.connect(settings.database_url, name=f"{service}-dlq", min_size=1)
    runner.on_stop(db.close)
    letters = DeadLetters(db)
    try:
        if arguments.dlq == "list":
            _list(await letters.waiting(arguments.limit), as_json=arguments.json)
            return OK
        bus = await Bus.connect(settings.nats_url, name=f"{service}-dlq", runner=runner)
        if not await bus.until_up(_PATIENCE):
            sys.stderr.write("NATS is away.\n")
            return FAILED
        return await _replay_all(letters, bus, arguments.ids)
    finally:
        await runner.stop()


async def replay(letters: DeadLetters, bus: Bus, letter: DeadLetter) -> None:
    """Tell the event again, to everyone: whoever handled it knows its id and ignores it."""
    headers = {
        name: value for name, value in letter.headers.items() if not name.startswith("Nats-")
    }
    # A new message id, or the stream would take it for the copy that it may still remember.
    headers["Nats-Msg-Id"] = f"replay:{letter.id}:{letter.deliveries}"
    if letter.event_id is not None:
        headers["Temani-Id"] = str(letter.event_id)
    await bus.publish_event(
        id=letter.event_id or letter.id,
        subject=letter.subject,
        body=letter.body,
        headers=headers,
    )
    await letters.replayed(letter.id)


async def _replay_all(letters: DeadLetters, bus: Bus, ids: list[UUID]) -> int:
    chosen = [await letters.one(letter_id) for letter_id in ids] if ids else None
    code = OK
    for letter in await letters.waiting(10_000) if chosen is None else chosen:
        if letter is None:
            sys.stderr.write("no such dead letter\n")
            code = FAILED
            continue
        try:
            await replay(letters, bus, letter)
        except BusUnavailable as error:
            sys.stderr.write(f"{letter.id}: {error}\n")
            return FAILED
        sys.stdout.write(f"{letter.id} {letter.subject}\n")
        await asyncio.sleep(0)
    return code


def _list(letters: list[DeadLetter], *, as_json: bool) -> None:
    for letter in letters:
        shown = {
            "id": str(letter.id),
            "buried_at": letter.buried_at.isoformat(),
            "consumer": letter.consumer,
            "subject": letter.subject,
            "event_id": str(letter.event_id),
            "reason": letter.reason,
            "deliveries": letter.deliveries,
            "error": letter.error,
        }
        line = json.dumps(shown) if as_json else "  ".join(str(value) for value in shown.values())
        sys.stdout.write(f"{line}\n")
