"""The command line `temani`."""

import argparse
import contextlib
import sys
from collections.abc import Sequence

from temani import state
from temani.commands import bus, data, logs, mirror, output, project, sweep, tokens, up, watch

_COMMANDS = (up, watch, logs, data, tokens, bus, mirror, sweep, project)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    parser = argparse.ArgumentParser(
        prog="temani",
        description="Run and look after Temani on this machine.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not now (nothing runs here, or "
        "something does already).",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    for name, subparser in list(commands.choices.items()):
        _allow_json(name, subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    args, rest = parser.parse_known_args(arguments)
    args.rest = rest
    if rest and not getattr(args, "passes_rest", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
            return int(args.run(args))
    except (state.NotRunning, state.AlreadyRunning) as error:
        output.complain(str(error))
        return output.NOT_NOW
    except output.EXPECTED as error:
        output.complain(f"✗ {error}")
        return output.FAILED
    return output.FAILED


def _allow_json(name: str, parser: argparse.ArgumentParser) -> None:
    """Accept --json after the command too (also after a second word, as in `dlq list --json`)."""
    if any("--json" in action.option_strings for action in parser._actions):  # noqa: SLF001 - argparse has no public list
        return
    for action in parser._actions:  # noqa: SLF001 - (same)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - (same)
            for below, subparser in action.choices.items():
                _allow_json(f"{name} {below}", subparser)
            return
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON"
    )


if __name__ == "__main__":
    sys.exit(main())
