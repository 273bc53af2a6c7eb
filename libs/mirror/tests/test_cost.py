"""What a question costs is the same for a hundred mitras and for five thousand."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from libs.mirror.tests.facts import active, load, online
from libs.mirror.tests.mutants import in_code
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import Mirror, arc
from mirror.wire import Reply, Wire

FEW, MANY = 100, 5_000
WANTED = 8

Question = Callable[[Mirror, list[UUID]], Awaitable[object]]
QUESTIONS: dict[str, Question] = {
    "find": lambda mirror, _: mirror.find_available(WANTED),
    "reach": lambda mirror, mitras: mirror.is_reachable(mitras[:WANTED]),
    "counts": lambda mirror, _: mirror.counts(),
}
# Of an answer: a time, and numbers of two more digits each; nobody's id has room in that.
_DIGITS = 16


@dataclass
class Cost:
    """What one question cost: commands that Valkey ran, what came back of them, and its bytes."""

    commands: dict[str, int]
    rows: int = 0
    bytes: int = 0


async def commands_run(stage: Stage) -> dict[str, int]:
    """Return how often Valkey has run each command; scripts' own count as well."""
    stats = await stage.raw.info("commandstats")
    return {name: each["calls"] for name, each in stats.items() if name != "cmdstat_info"}


async def cost(stage: Stage, ask: Question, mitras: list[UUID]) -> Cost:
    """Ask once and return what that took."""
    mirror, found = stage.kit.mirror, Cost({})
    sent, received = mirror._link.ask, Wire.data_received

    async def counting(commands: bytes, replies: int) -> Reply:
        answer = await sent(commands, replies)
        found.rows += _leaves(answer[0])
        return answer

    def weighing(wire: Wire, data: bytes) -> None:
        found.bytes += len(data)
        received(wire, data)

    before = await commands_run(stage)
    with pytest.MonkeyPatch.context() as patch:
        # The arc begins at the same part of all, and wraps round for neither.
        patch.setattr(arc, "random", random.Random(1))
        patch.setattr(mirror._link, "ask", counting)
        patch.setattr(Wire, "data_received", weighing)
        await ask(mirror, mitras)
    after = await commands_run(stage)
    found.commands = {
        name: more for name, calls in after.items() if (more := calls - before.get(name, 0))
    }
    return found


def _leaves(reply: Reply) -> int:
    return sum(map(_leaves, reply)) if isinstance(reply, list) else 1


async def told(stage: Stage, many: int) -> list[UUID]:
    """Tell the mirror of so many more who are there and free."""
    mitras = [new_id() for _ in range(many)]
    await stage.kit.mirror.apply(
        [fact for one in mitras for fact in (online(one, 2), active(one, 1), load(one, 1))]
    )
    return mitras


async def compared(stage: Stage, question: str) -> tuple[Cost, Cost]:
    """Return what a question costs with a hundred, and with five thousand."""
    ask = QUESTIONS[question]
    mitras = await told(stage, FEW)
    await ask(stage.kit.mirror, mitras)
    few = await cost(stage, ask, mitras)
    await told(stage, MANY - FEW)
    await ask(stage.kit.mirror, mitras)
    many = await cost(stage, ask, mitras)
    assert (await stage.kit.mirror.counts()).available == MANY
    return few, many


@pytest.mark.req("AV-06")
@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_costs_the_same_however_many_are_there(
    stage: Stage, question: str
) -> None:
    """The same commands, as many rows, and but for some digits as many bytes."""
    few, many = await compared(stage, question)
    assert few.commands == many.commands
    assert sum(few.commands.values()) <= 10
    assert few.rows == many.rows
    assert abs(few.bytes - many.bytes) <= _DIGITS


@pytest.mark.req("AV-06")
async def test_a_find_that_fetches_all_and_cuts_is_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive find gives right answers, and its rows and bytes betray it."""
    all_of_them = in_code(arc.Arc, "commands", "first, last)) for", "0, -2)) for")
    all_of_them(monkeypatch)
    few, many = await compared(stage, "find")
    assert few.commands == many.commands
    assert many.rows - few.rows >= MANY - FEW
    assert many.bytes - few.bytes >= 36 * (MANY - FEW)
