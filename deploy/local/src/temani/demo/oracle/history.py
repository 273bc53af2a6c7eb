"""The bots' own record, sorted for the checks."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temani.demo import history


@dataclass(frozen=True)
class Operation:
    """One operation with its outcome: ok, fail (the system refused) or info (nobody knows)."""

    who: str
    name: str
    began: float
    ended: float | None
    outcome: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Sighting:
    """Something that a person was shown."""

    who: str
    what: str
    at: float
    facts: dict[str, Any]


@dataclass
class Record:
    """Everything that all bots did and saw."""

    operations: dict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    sightings: dict[str, list[Sighting]] = field(default_factory=lambda: defaultdict(list))

    def done(self, name: str) -> list[Operation]:
        """Operations that are known to have happened."""
        return [one for one in self.operations[name] if one.outcome == "ok"]

    def refused(self, name: str) -> list[Operation]:
        """Operations that are known not to have happened."""
        return [one for one in self.operations[name] if one.outcome == "fail"]


def load(places: Iterable[Path]) -> Record:
    """Read histories; an operation without an outcome counts as unknown."""
    record, open_ones = Record(), dict[str, dict[str, Any]]()
    for line in history.read(list(places)):
        match line["type"]:
            case "invoke":
                open_ones[line["id"]] = line
            case "saw":
                record.sightings[line["op"]].append(
                    Sighting(line["who"], line["op"], line["at"], line)
                )
            case outcome:
                began = open_ones.pop(line["id"], line)
                record.operations[line["op"]].append(
                    Operation(
                        line["who"],
                        line["op"],
                        began["at"],
                        line["at"],
                        outcome,
                        {**began, **line},
                    )
                )
    for line in open_ones.values():
        record.operations[line["op"]].append(
            Operation(line["who"], line["op"], line["at"], None, "info", line)
        )
    return record
