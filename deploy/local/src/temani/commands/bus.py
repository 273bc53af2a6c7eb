"""temani events, temani dlq: what is told on the bus, and what nobody could handle."""

import argparse
import asyncio
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nats
from nats.aio.msg import Msg

from temani import environment, layout, running
from temani.commands import output


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    events = commands.add_parser("events", help="events as the services tell them")
    tail = events.add_subparsers(metavar="ACTION", required=True).add_parser(
        "tail", help="print events as they come, until Ctrl-C"
    )
    tail.add_argument("--subject", default="evt.>", help="such as 'evt.chat.>' (default: all)")
    tail.add_argument("--count", type=int, help="stop after so many")
    tail.set_defaults(run=run_tail)
    words = commands.add_parser("dlq", help="dead letters").add_subparsers(
        metavar="ACTION", required=True
    )
    listing = words.add_parser("list", help="events that a service could not handle")
    listing.add_argument("service", nargs="?", choices=layout.SERVICES)
    listing.set_defaults(run=run_list)
    replay = words.add_parser("replay", help="give them to the service again")
    replay.add_argument("service", choices=layout.SERVICES)
    replay.add_argument("ids", nargs="*", help="ids as `dlq list` shows them (default: all)")
    replay.set_defaults(run=run_replay)


def run_tail(args: argparse.Namespace) -> int:
    """Run `temani events tail`."""
    asyncio.run(_tail(args, running.find().addresses.nats_url))
    return output.OK


def run_list(args: argparse.Namespace) -> int:
    """Run `temani dlq list`."""
    stack = running.find()
    services = [args.service] if args.service else list(layout.SERVICES)
    with ThreadPoolExecutor() as pool:
        texts = pool.map(lambda each: _service(stack, each, ["dlq", "list", "--json"]), services)
        letters: dict[str, Any] = {
            service: [json.loads(line) for line in text.splitlines() if line.strip()]
            for service, text in zip(services, texts, strict=True)
        }
    lines = [
        f"{service}: {json.dumps(letter)}" for service, found in letters.items() for letter in found
    ]
    output.tell(args, letters, lambda: "\n".join(lines) or "no dead letters")
    return output.OK


def run_replay(args: argparse.Namespace) -> int:
    """Run `temani dlq replay`."""
    which = args.ids or ["--all"]
    text = _service(running.find(), args.service, ["dlq", "replay", *which]).strip()
    told = text.splitlines()
    output.tell(args, {"replayed": told}, lambda: text or "nothing to replay")
    return output.OK


def _service(stack: running.Running, service: str, words: list[str]) -> str:
    """Run a service's own command line against the running stack and return what it says."""
    done = subprocess.run(
        [*environment.module(service), *words],
        env={**stack.service_environment(service), "LOG_LEVEL": "error"},
        cwd=layout.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise output.Failed(f"{service}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


async def _tail(args: argparse.Namespace, url: str) -> None:
    client = await nats.connect(url, name="temani-events-tail", connect_timeout=2)
    try:
        subscription = await client.subscribe(args.subject)
        left = args.count
        async for message in subscription.messages:
            _show(args, message)
            if left is not None:
                left -= 1
                if left <= 0:
                    return
    finally:
        await client.close()


def _show(args: argparse.Namespace, message: Msg) -> None:
    try:
        body = json.loads(message.data or b"null")
    except ValueError:
        body = message.data.decode(errors="replace")
    if args.json:
        line = {"subject": message.subject, "headers": message.headers or {}, "body": body}
        print(json.dumps(line), flush=True)
    else:
        print(f"{message.subject}  {json.dumps(body)}", flush=True)
