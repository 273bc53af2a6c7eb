"""Figures that can be trusted on a shared machine: CPU time per operation, and paired ratios."""

import contextlib
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil  # type: ignore[import-untyped] # its stubs are a package of their own

T = TypeVar("T")

Measure = Callable[[], Awaitable[T]]


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds that a process and its children have been on a core so far."""
    return sum(_own_cpu_ns(member) for member in _family(pid))


def rss_kib(pid: int) -> int:
    """Return how much memory a process holds, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def threads(pid: int) -> list[int]:
    """Return the kernel's ids of all threads of a process and its children."""
    found = []
    for member in _family(pid):
        with contextlib.suppress(OSError):
            found += [int(task.name) for task in Path(f"/proc/{member}/task").iterdir()]
    return found


async def paired(
    variants: Mapping[str, Measure[T]], *, rounds: int, warm_up: bool = False
) -> dict[str, list[T]]:
    """Measure all variants once a round, every other round in reverse order.

    What slows the machine down for a while slows a whole round, so ratios are taken inside one.
    With `warm_up` a round before the first counts for nothing: compilers have then seen the work.
    """
    found: dict[str, list[T]] = {name: [] for name in variants}
    if warm_up:
        for measure in variants.values():
            await measure()
    for number in range(rounds):
        names = list(variants) if number % 2 == 0 else list(reversed(variants))
        for name in names:
            found[name].append(await variants[name]())
    return found


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return statistics.median(top / bottom for top, bottom in zip(tops, bottoms, strict=True))


def spread(tops: Sequence[float], bottoms: Sequence[float]) -> str:
    """Say between which ratios the rounds lay."""
    ratios = [top / bottom for top, bottom in zip(tops, bottoms, strict=True)]
    return f"rounds {min(ratios):.2f}-{max(ratios):.2f}"


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` (0..1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _own_cpu_ns(pid: int) -> int:
    total = 0
    # A thread that ended meanwhile takes its time along; the hot threads live as long as the run.
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


def _family(pid: int) -> list[int]:
    try:
        parent = psutil.Process(pid)
        return [pid, *(child.pid for child in parent.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []
