"""The bench itself: its verdicts, its figures and its effect checks can be trusted."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from tests.bench import __main__ as bench
from tests.bench.compare import Costs
from tests.bench.driving import Cost, Load, LoadFailed, tokens_file
from tests.bench.lines import Line, as_json, effect, table
from tests.bench.measure import cpu_ns, paired, percentile, ratio
from tests.bench.rig import Rig, python
from tests.bench.site import BEAT_PATH, Mitra, Site

from temani import ports


@pytest.fixture
async def rig(scratch: Path) -> Rig:
    """A rig that ends what it started."""
    folder = scratch / "bench"
    folder.mkdir(exist_ok=True)
    rig = Rig(folder, say=lambda _: None, wanted=frozenset({"G3"}), rounds=1)
    yield rig
    await rig.close()


def test_a_figure_over_its_bound_is_a_miss() -> None:
    """At the bound is reached; nothing measured is missed; what a machine lacks is skipped."""
    line = Line("G1", "a ratio", 1.5, 1.5)
    assert line.verdict == "ok"
    assert dataclasses.replace(line, measured=1.51).verdict == "MISS"
    assert dataclasses.replace(line, at_least=True).verdict == "ok"
    assert dataclasses.replace(line, at_least=True, measured=1.49).verdict == "MISS"
    assert dataclasses.replace(line, measured=None).verdict == "MISS"
    assert dataclasses.replace(line, measured=None, skipped="no Node").verdict == "skipped"
    assert dataclasses.replace(line, bound=None).verdict == "-"
    assert effect("G1", "beats not stored", wrong=0).verdict == "ok"
    assert effect("G1", "beats not stored", wrong=1).missed


def test_a_prototypes_miss_is_told_as_one() -> None:
    """It has the verdict of its figure, and the word beside it; it is no miss of the run."""
    product = Line("G6", "ours / theirs", 2.0, 1.0)
    prototype = dataclasses.replace(product, prototype=True)
    assert (product.missed, prototype.missed) == (True, False)
    assert prototype.verdict == "MISS"
    assert "MISS (prototype)" in table([prototype])
    assert "prototype" not in table([product])
    assert '"prototype": true' in as_json(prototype)
    found = {name: [Cost({"program": micros}, 1.0)] for name, micros in (("a", 1.0), ("b", 2.0))}
    costs = Costs(found, {}, prototypes={"b"})
    assert costs.line("G6", "b", "a", bound=1.0).prototype
    assert not costs.line("G6", "a", "b", bound=1.0).prototype
    assert costs.line("G6", "a", "b", bound=0.4).missed
    assert not effect("G4", "beats not stored", wrong=1, prototype=True).missed


@pytest.mark.parametrize(("prototype", "code"), [(True, 0), (False, 1)])
def test_only_the_product_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    prototype: bool,
    code: int,
) -> None:
    """The exit code of `make bench` is 1 by a miss of the product, and by none of a prototype."""

    class Missing:
        TITLE = "missing"

        @staticmethod
        async def measure(_rig: Rig) -> list[Line]:
            return [Line("G6", "a ratio", 2.0, 1.0, prototype=prototype)]

    monkeypatch.setattr(bench, "groups", lambda: [bench.Group(Missing, ("G6",))])
    monkeypatch.setattr(bench.structlog, "configure", lambda **_: None)
    monkeypatch.setattr("sys.argv", ["bench"])
    assert bench.main() == code
    assert "MISS" in capsys.readouterr().out


@pytest.mark.req("OP-10")
def test_people_and_machines_read_the_same() -> None:
    """The table and the JSON line carry the figure, its bound and the verdict."""
    line = Line("G2", "what it is", 2.0, 1.0, note="why")
    assert "2.00x" in table([line])
    assert "<= 1.00x" in table([line])
    assert "MISS" in table([line])
    assert '"verdict": "MISS"' in as_json(line)
    assert "skipped (no gcc)" in table([Line("G4", "a floor", None, 1.0, skipped="no gcc")])


def test_ratios_are_taken_inside_a_round() -> None:
    """A round that was slow for both leaves the ratio alone."""
    assert ratio([10.0, 30.0, 12.0], [5.0, 15.0, 6.0]) == 2.0
    assert percentile([1.0] * 999 + [50.0], 0.999) == 50.0
    assert percentile(range(100), 0.5) == 50


async def test_every_other_round_runs_backwards() -> None:
    """What grows slower within a round hits both ends alike."""
    order: list[str] = []

    async def noting(name: str) -> int:
        order.append(name)
        return len(order)

    found = await paired({"a": lambda: noting("a"), "b": lambda: noting("b")}, rounds=2)
    assert order == ["a", "b", "b", "a"]
    assert found == {"a": [1, 4], "b": [2, 3]}


def test_every_goal_belongs_to_one_group() -> None:
    """`ONLY=G5` finds its module, and no goal is measured twice."""
    goals = [goal for group in bench.groups() for goal in group.goals]
    assert len(goals) == len(set(goals))
    assert {f"G{number}" for number in range(1, 8)} <= set(goals)
    assert all(group.module.TITLE for group in bench.groups())


async def test_an_error_is_a_miss_of_the_goals_asked_for(rig: Rig) -> None:
    """A goal that cannot be measured fails the run; those that were not asked for are left out."""

    class Broken:
        TITLE = "broken"

        @staticmethod
        async def measure(_rig: Rig) -> list[Line]:
            raise ValueError("nothing there")

    lines = await bench._measured(rig, bench.Group(Broken, ("G3", "G4")))  # type: ignore[arg-type]
    assert [(line.goal, line.verdict) for line in lines] == [("G3", "MISS")]


@pytest.mark.req("OP-10")
async def test_a_load_counts_cpu_time_and_bad_answers(rig: Rig) -> None:
    """The closed loop asks as often as told; a wrong answer is no figure but a failure."""
    port = ports.free_port()
    floor = await rig.start(
        "floor", [*python("tests.bench.peers.aiohttp_floor"), str(port)], port=port
    )
    plan = {
        "kind": "http",
        "port": port,
        "path": BEAT_PATH,
        "connections": 8,
        "tokens": tokens_file(rig.folder, "few", ["one", "two"]),
    }
    load = await Load.open(rig, "good", plan, floor)
    cost = await load.go(200, {"program": floor.pid})
    assert isinstance(cost, Cost)
    assert 1 < cost.micros["program"] < 10_000
    bad = await Load.open(rig, "bad", {**plan, "path": "/nowhere"}, floor)
    with pytest.raises(LoadFailed, match="404"):
        await bad.go(16, {})
    pids = [floor.pid, load._process.pid, bad._process.pid]
    await rig.close()
    assert [cpu_ns(pid) for pid in pids] == [0, 0, 0]


@pytest.mark.req("AV-03")
async def test_the_effect_check_sees_a_beat_that_was_not_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old beats count as missing until the product stores new ones; a deactivated mitra's never."""
    monkeypatch.setattr("tests.bench.site.MITRAS", 20)
    site = await Site.of(rig)
    _, port = await site.service("availability")
    some: list[Mitra] = site.mitras[:20]
    since = await site.aged(some)
    assert await site.unstored(some, since_ms=since) == 20
    codes = await asyncio.gather(*(site.beat(port, one.token) for one in some[:15]))
    assert set(codes) == {200}
    assert await site.unstored(some, since_ms=since) == 5
    out = some[0]
    await site.deactivate(out)
    assert await site.beat(port, out.token) == 403
    assert await site.unstored([out], since_ms=0) == 1
