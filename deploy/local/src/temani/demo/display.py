"""Shows a run: a live table on a terminal, plain lines elsewhere, and the summary at the end."""

import sys
import time
from collections import Counter
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from temani.demo.numbers import PATHS, REQUIRED_PATHS, Summary
from temani.demo.opening import REFUSED
from temani.demo.oracle import INVARIANTS
from temani.demo.run import Run

STATES = ("pending_payment", "active", "expired", "closing", "completed", "cancelled", "rerouted")
LINE_SECONDS = 5.0


class PlainDisplay:
    """One line every few seconds, for logs and pipes."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._last = float("-inf")
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.flush()

    def update(self, run: Run) -> None:
        """Print where the run is, now and then."""
        now = time.monotonic()
        if now - self._last < LINE_SECONDS and run.phase == self._phase:
            return
        self._last, self._phase = now, run.phase
        numbers = run.world.numbers
        open_ones = sum(count for state, count in _states(run).items() if state in STATES[:4])
        print(
            f"{run.elapsed:6.1f} s  {run.phase:<12} requests {numbers.counts['requests']:>4}  "
            f"searching {len(run.world.searching):>2}  open {open_ones:>2}  "
            f"completed {numbers.counts['sessions_completed']:>4}  "
            f"messages {numbers.counts['messages']:>5}  "
            f"events/s {numbers.events_per_second():>5.0f}  "
            f"paths {len(numbers.paths)}/{len(PATHS)}  violations {len(run.quick.texts)}"
            f"{_closed(run)}",
            file=self._out,
            flush=True,
        )


class LiveDisplay:
    """A table that changes in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def update(self, run: Run) -> None:
        """Redraw."""
        self._live.update(Group(_headline(run), _people(run), _paths(run), _waits(run)))


def _closed(run: Run) -> str:
    refused = run.world.numbers.counts[REFUSED]
    return f"  refused while closed {refused}" if refused else ""


def _states(run: Run) -> Counter[str]:
    return Counter(run.world.states.values())


def _headline(run: Run) -> Text:
    numbers, whole = run.world.numbers, run.seconds
    until = "until Ctrl-C" if whole is None else f"of {whole:.0f} s"
    bad = len(run.quick.texts)
    text = Text(f"Temani demo · {run.phase} · {run.elapsed:.0f} s {until} · ", style="bold")
    text.append(f"{numbers.events_per_second():.0f} events/s · ")
    text.append(
        "invariants hold" if not bad else f"{bad} violations", style="green" if not bad else "red"
    )
    text.append(_closed(run), style="yellow")
    return text


def _people(run: Run) -> Text:
    numbers, states = run.world.numbers, _states(run)
    done = (
        f"requests {numbers.counts['requests']}",
        f"searching {len(run.world.searching)}",
        f"offers {numbers.counts['offers']}",
        f"declines {numbers.counts['declines']}",
        f"messages {numbers.counts['messages']}",
        f"extended {numbers.counts['sessions_extended']}",
    )
    now = (f"{state} {states[state]}" for state in STATES)
    return Text("   ".join(done) + "\nsessions: " + "   ".join(now))


def _paths(run: Run) -> Text:
    walked = run.world.numbers.paths
    text = Text()
    for path in PATHS:
        done = walked[path]
        text.append(f"{'✓' if done else '·'} {path} {done or ''}  ", "green" if done else "dim")
    return text


def _waits(run: Run) -> Table:
    table = Table(box=None, padding=(0, 2))
    for column in ("", "p50 ms", "p99 ms", "count"):
        table.add_column(column, justify="left" if not column else "right")
    for name, waits in run.world.numbers.latencies().items():
        table.add_row(name, f"{waits['p50']:.1f}", f"{waits['p99']:.1f}", f"{waits['count']:.0f}")
    return table


def render_summary(summary: Summary) -> str:
    """Say what happened, for people."""
    lines = [
        "",
        (
            f"  {summary.seconds:.0f} s · seed {summary.seed} · {summary.requests} requests · "
            f"{summary.sessions_completed} sessions completed · "
            f"{summary.sessions_extended} extended · {summary.messages} messages"
        ),
        "",
    ]
    for name, waits in summary.latency_ms.items():
        lines.append(
            f"  {name:<24} p50 {waits['p50']:>8.1f} ms   p99 {waits['p99']:>8.1f} ms   "
            f"({waits['count']:.0f})"
        )
    lines.append("")
    for name, word in summary.invariants.items():
        lines.append(f"  {name}  {INVARIANTS[name]:<44} {word}")
    lines.append("")
    for path in PATHS:
        times = summary.paths_walked.get(path, 0)
        mark = "✓" if times else ("✗" if path in REQUIRED_PATHS else "·")
        lines.append(f"  {mark} {path:<26} {times}")
    lines += [f"  ✗ {text}" for text in summary.violation_texts]
    lines += [f"  ! {what} ({count})" for what, count in summary.surprises.items()]
    lines += ["", f"  {_verdict(summary)}; history: {summary.history}", ""]
    return "\n".join(lines)


def _verdict(summary: Summary) -> str:
    if summary.violations:
        return f"{summary.violations} violations"
    if summary.missing_paths:
        return f"every invariant held; not walked: {', '.join(summary.missing_paths)}"
    return "every invariant held, every path was walked"
