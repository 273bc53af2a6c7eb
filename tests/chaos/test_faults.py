"""Real processes die while people use the product; the oracle judges what they lived through.

Each run is the demo's: bots that behave like people, their own notes of everything they did and
were told, and an oracle that compares the notes with Postgres. Nothing may be lost, nothing
doubled, and everything must come back without hands.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos.drill import Drill, Timetable
from tests.chaos.looking import eventually

from temani.demo.numbers import Summary
from temani.demo.run import run_demo

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


async def live_through(drill: Drill, timetable: Timetable, seconds: float, folder: Path) -> Summary:
    """Run the demo with its faults, and return what the oracle and the bots say."""
    summary = await run_demo(
        drill.stack.state, seconds, seed=7, on_tick=timetable.on_tick, folder=folder
    )
    await timetable.over()
    return summary


@pytest.mark.req("AV-07", "AV-08", "AV-09", "CH-04", "CH-11", "PA-03", "SW-01", "SW-05")
async def test_everything_may_die_at_any_moment(drill: Drill, tmp_path: Path) -> None:
    """Each service is killed, Valkey comes back empty, NATS is away for 10 s, Postgres restarts.

    People go on all the while: nothing lost, nothing doubled, everything recovers alone.
    """
    order = ("chat", "pairing", "auth", "availability", "sweeper")
    timetable = Timetable(
        {
            **{1.5 + 2.5 * n: _killing(drill, name) for n, name in enumerate(order)},
            14.0: drill.restart_valkey,
            16.0: lambda: drill.cut_nats(10),
            28.0: drill.restart_postgres,
        }
    )

    summary = await live_through(drill, timetable, 36, tmp_path)

    assert summary.violation_texts == []
    assert summary.sessions_completed > 0
    restarts = {each.part.name: each for each in drill.stack.launched.supervisors}
    await eventually(lambda: [restarts[name].restarts for name in order] == [1] * len(order))


def _killing(drill: Drill, service: str) -> Callable[[], None]:
    return lambda: drill.kill_service(service)
