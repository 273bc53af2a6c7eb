"""`make bench`: measure the product beside its floors and peers, and say which goals it reaches."""

import argparse
import asyncio
import importlib
import logging
import pkgutil
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import structlog
from tests.bench import goals as goals_package
from tests.bench.lines import Line, as_json, table
from tests.bench.rig import ROUNDS, Rig

# Alone on a machine a group takes a minute and a half at most; this bounds a stuck one.
_GROUP_SECONDS = 300.0
_NAME = re.compile(r"g(\d+)_")


@dataclass(frozen=True, slots=True)
class Group:
    """One module of goals; it measures together what is compared with each other."""

    module: ModuleType
    goals: tuple[str, ...]


def groups() -> list[Group]:
    """Find the modules of goals, in the order of their numbers."""
    found = []
    for info in pkgutil.iter_modules(goals_package.__path__):
        if match := _NAME.match(info.name):
            module = importlib.import_module(f"{goals_package.__name__}.{info.name}")
            numbers = getattr(module, "GOALS", (f"G{int(match[1])}",))
            found.append((int(match[1]), Group(module, numbers)))
    return [group for _, group in sorted(found, key=lambda one: one[0])]


def main() -> int:
    """Run the goals asked for; 1 when the product misses one of them."""
    options = _options()
    wanted = frozenset(name.strip().upper() for name in options.only.split(",") if name.strip())
    chosen = [group for group in groups() if not wanted or not wanted.isdisjoint(group.goals)]
    known = {goal for group in groups() for goal in group.goals}
    if wanted - known:
        sys.stderr.write(f"unknown goals: {', '.join(sorted(wanted - known))}\n")
        return 2
    # What migrations and libraries say at ease would end up among the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(tempfile.mkdtemp(prefix="temani-bench-"))
    folder.chmod(0o755)
    rig = Rig(folder, say=_say, wanted=wanted, rounds=options.rounds)
    try:
        lines = asyncio.run(_run(rig, chosen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("ended before its time")
        return 2
    finally:
        if options.keep:
            _say(f"logs and data are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    shown = [line for line in lines if not wanted or line.goal in wanted]
    sys.stdout.write(_render(shown, json=options.json) + "\n")
    return int(any(line.missed for line in shown))


async def _run(rig: Rig, chosen: list[Group]) -> list[Line]:
    """Measure group by group; whatever ends the run ends what it started."""
    lines: list[Line] = []
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        for group in chosen:
            started = time.monotonic()
            rig.say(f"{'/'.join(group.goals)}: {group.module.TITLE}")
            lines += await _measured(rig, group)
            await rig.clear()
            rig.say(f"{'/'.join(group.goals)}: done in {time.monotonic() - started:.0f} s")
    finally:
        await rig.close()
    return lines


async def _measured(rig: Rig, group: Group) -> list[Line]:
    """Measure one group; an error is a miss of its goals, and the others still get their turn."""
    try:
        async with asyncio.timeout(_GROUP_SECONDS):
            found: list[Line] = await group.module.measure(rig)
    except Exception as error:  # noqa: BLE001 - told in full below, and it fails the run
        rig.say(traceback.format_exc())
        failed = [goal for goal in group.goals if rig.wants(goal)]
        return [Line(goal, group.module.TITLE, None, None, note=repr(error)) for goal in failed]
    return found


def _render(lines: list[Line], *, json: bool) -> str:
    return "\n".join(map(as_json, lines)) if json else table(lines)


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="G8,G9", help="measure only these goals")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="paired rounds (default 5)")
    parser.add_argument("--keep", action="store_true", help="leave logs and data behind")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
