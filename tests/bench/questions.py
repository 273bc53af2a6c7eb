"""G8, G9, G11: how long the mirror's answers take, beside a bare round trip and the original."""

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from tests.bench.crowd import Hall
from tests.bench.inner import freeze
from tests.bench.lines import Line, effect
from tests.bench.measure import median, ratio, spread

from mirror import Counts, StalePage

K: Final = 50
_LIGHT, _HEAVY = 300, 100_000  # repetitions; of a heavy question so many divided by N
_STALE_AT_ONCE: Final = 2_000  # as the sweeper asks

PING, FIND, MGET = "PING", "find", "original's MGET"
GET, COUNT = "GET of a snapshot", "count"
SWEEP, SCAN = "stale sweep", "original's scan"

Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Question:
    """One way to ask, and whether an answer is the right one."""

    ask: Callable[[], Awaitable[Any]]
    right: Callable[[Any], bool]
    repeat: int = _LIGHT

    @property
    def heavy(self) -> bool:
        """Whether it is asked less often, beside other heavy ones."""
        return self.repeat < _LIGHT


async def measure_questions(halls: dict[int, Hall], *, rounds: int) -> list[Line]:
    """Ask everything of every crowd in each round; a wrong answer is a miss."""
    asked = {
        _key(name, size): question
        for size, hall in halls.items()
        for name, question in _questions(hall).items()
    }
    wrong: list[str] = []
    times: Times = {key: [] for key in asked}
    freeze()
    for _ in range(rounds):
        for hall in halls.values():
            await hall.refresh()
        for part in _parts(asked):
            for key, seconds in (await _in_turn(part, wrong)).items():
                times[key].append(seconds)
    sizes = sorted(halls)
    return [
        *_find(times, sizes),
        *_count(times, sizes),
        *_stale(times, sizes),
        effect("G8", "wrong answers of all questions", wrong=len(wrong), note=str(wrong[:3])),
    ]


def _parts(asked: dict[str, Question]) -> list[dict[str, Question]]:
    """Put the light ones together; a heavy one is asked alone, for the scheduler resents it."""
    light = {key: question for key, question in asked.items() if not question.heavy}
    return [light, *({key: question} for key, question in asked.items() if question.heavy)]


async def _in_turn(questions: dict[str, Question], wrong: list[str]) -> dict[str, float]:
    """Ask each in turn, again and again; return the median of the seconds of each.

    In turn, because what slows the machine down then slows all of them.
    """
    seconds: dict[str, list[float]] = {key: [] for key in questions}
    repeat = min(question.repeat for question in questions.values())
    for _ in range(repeat + 1):
        for key, question in questions.items():
            started = time.perf_counter()
            answer = await question.ask()
            seconds[key].append(time.perf_counter() - started)
            if not question.right(answer):
                wrong.append(key)
    return {key: median(found[1:]) for key, found in seconds.items()}


def _questions(hall: Hall) -> dict[str, Question]:
    crowd, wire = hall.crowd, hall.original.wire
    available, stale = crowd.available, crowd.stale
    seldom = max(2, min(100, _HEAVY // len(crowd.ids)))

    def found_k(found: list[UUID]) -> bool:
        whom = set(found)
        return len(found) == len(whom) == K and whom <= available

    def counted(counts: Counts) -> bool:
        return (counts.available, counts.source) == (len(available), "mirror")

    def whole(found: Collection[UUID]) -> bool:
        return set(found) == stale

    def swept(page: StalePage) -> bool:
        found = {one.mitra_id for one in page.mitras}
        return found <= stale and len(found) == min(len(stale), _STALE_AT_ONCE)

    return {
        PING: Question(lambda: wire.send(("PING",)), lambda reply: reply == b"PONG"),
        FIND: Question(lambda: hall.presence.find_available(K), found_k),
        MGET: Question(hall.original.available, lambda found: set(found) == available, seldom),
        GET: Question(lambda: wire.send(("GET", hall.original.SNAPSHOT)), bool),
        COUNT: Question(hall.presence.counts, counted),
        SWEEP: Question(lambda: hall.mirror.stale(_STALE_AT_ONCE), swept, seldom),
        SCAN: Question(hall.original.stale, whole, seldom),
    }


def _find(times: Times, sizes: list[int]) -> list[Line]:
    small, large = times[_key(FIND, sizes[0])], times[_key(FIND, sizes[-1])]
    lines = [_versus("G8", f"find {K}: {_n(sizes[-1])} / {_n(sizes[0])}", large, small, 1.6)]
    for size in sizes:
        found, ping = times[_key(FIND, size)], times[_key(PING, size)]
        lines.append(_versus("G8", f"find {K} / PING, {_n(size)}", found, ping, 2.0))
    for size, bound in ((sizes[0], 0.1), (sizes[-1], 0.002)):
        found, mget = times[_key(FIND, size)], times[_key(MGET, size)]
        lines.append(_versus("G8", f"find {K} / {MGET}, {_n(size)}", found, mget, bound))
    return lines


def _count(times: Times, sizes: list[int]) -> list[Line]:
    lines = []
    for size in (sizes[0], sizes[-1]):
        counted, got = times[_key(COUNT, size)], times[_key(GET, size)]
        lines.append(_versus("G9", f"{COUNT} / {GET}, {_n(size)}", counted, got, 1.3))
    return lines


def _stale(times: Times, sizes: list[int]) -> list[Line]:
    lines = []
    for size in sizes:
        swept, scanned = times[_key(SWEEP, size)], times[_key(SCAN, size)]
        lines.append(_versus("G11", f"{SWEEP} / {SCAN}, {_n(size)}", swept, scanned, 0.1))
    return lines


def _versus(goal: str, what: str, ours: list[float], theirs: list[float], bound: float) -> Line:
    note = f"{_ms(ours)} / {_ms(theirs)}, {spread(ours, theirs)}"
    return Line(goal, what, ratio(ours, theirs), bound, note=note)


def _ms(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.3g} ms"


def _key(name: str, size: int) -> str:
    return f"{name} {_n(size)}"


def _n(size: int) -> str:
    return f"{size // 1000}k"
