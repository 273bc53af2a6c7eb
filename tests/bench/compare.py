"""Ratios of what two programs cost in the same rounds, as lines."""

from collections.abc import Collection, Mapping, Sequence

from tests.bench.driving import Cost
from tests.bench.lines import Line
from tests.bench.measure import median, ratio, spread


class Costs:
    """What every program cost in each round, why some did not take part, who is a prototype."""

    def __init__(
        self,
        found: Mapping[str, Sequence[Cost]],
        absent: Mapping[str, str],
        *,
        prototypes: Collection[str] = (),
    ) -> None:
        self._found = found
        self._absent = absent
        self._prototypes = prototypes

    def line(
        self, goal: str, top: str, bottom: str, *, bound: float | None, of: str = "program"
    ) -> Line:
        """Return the line of one paired ratio of CPU time; `of` names the process that counts."""
        what = f"{top} / {bottom}: CPU per beat" + ("" if of == "program" else f" in {of}")
        prototype = top in self._prototypes
        for name in (top, bottom):
            if name in self._absent:
                why = self._absent[name]
                return Line(goal, what, None, bound, skipped=why, prototype=prototype)
        tops = [cost.micros[of] for cost in self._found[top]]
        bottoms = [cost.micros[of] for cost in self._found[bottom]]
        note = f"{median(tops):.1f} / {median(bottoms):.1f} us, {spread(tops, bottoms)}"
        return Line(goal, what, ratio(tops, bottoms), bound, note=note, prototype=prototype)
