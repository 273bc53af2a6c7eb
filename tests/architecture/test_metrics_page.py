"""The page of the metrics names each one there is, and none that there is not."""

import ast
import re
from pathlib import Path

from temani import layout

PAGE = layout.ROOT / "docs" / "reference" / "metrics.md"
KINDS = {"Counter", "Gauge", "Histogram"}


def _labels(call: ast.Call) -> tuple[str, ...]:
    lists = [each for each in call.args[2:3] if isinstance(each, ast.List | ast.Tuple)]
    return tuple(ast.literal_eval(lists[0])) if lists else ()


def _in(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the metrics that a module makes, with their labels."""
    return {
        call.args[0].value: _labels(call)
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in KINDS
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_every_metric_is_on_the_page() -> None:
    """Names and labels in the code are those of docs/reference/metrics.md."""
    made: dict[str, tuple[str, ...]] = {}
    for folder in ("libs", "services"):
        for path in (layout.ROOT / folder).glob("*/src/**/*.py"):
            made |= _in(path)
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", PAGE.read_text("utf-8"), re.MULTILINE)

    told = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}

    assert len(made) > 70
    assert told == made
