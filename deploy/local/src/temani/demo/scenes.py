"""The scenes customers play, dealt so that every path is walked early and then at random."""

import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Name = Literal[
    "plain",
    "extend",
    "extend_late",
    "extend_declined",
    "extend_ignored",
    "cancel",
    "nobody_wants",
    "no_show",
    "drop_socket",
    "poll",
    "deny_then_pay",
    "never_pay",
    "end_early",
    "sensitive",
]

WEIGHTS: dict[Name, int] = {
    "plain": 10,
    "extend": 4,
    "extend_late": 1,
    "extend_declined": 1,
    "extend_ignored": 1,
    "cancel": 2,
    "nobody_wants": 1,
    "no_show": 1,
    "drop_socket": 3,
    "poll": 2,
    "deny_then_pay": 2,
    "never_pay": 1,
    "end_early": 6,
    "sensitive": 2,
}

TOPICS: dict[Name, tuple[str, ...]] = {
    "nobody_wants": ("my neighbour's rooster", "a five hour spreadsheet"),
    "sensitive": ("a loss in the family", "a fear I cannot name"),
}
# Paths that a customer's scene leads to.
SCENE_OF: dict[str, Name] = {
    "extension": "extend",
    "cancel": "cancel",
    "reroute": "no_show",
    "dropped_and_resumed": "drop_socket",
    "expired_wait": "nobody_wants",
}

PLAIN_TOPICS = (
    "a hard week at work",
    "moving to another city",
    "sleeping badly",
    "an old friend",
    "learning to say no",
    "exams",
)


@dataclass(frozen=True)
class Scene:
    """How one request goes, as far as people decide it."""

    name: Name
    topic: str

    @property
    def sensitivity(self) -> str:
        """What the customer chooses at request time."""
        return "sensitive" if self.name == "sensitive" else "normal"


class Deck:
    """Deals scenes: first every one there is, the slow ones first, then by weight."""

    FIRST: tuple[Name, ...] = (
        "no_show",
        "nobody_wants",
        "extend",
        "extend_declined",
        "extend_ignored",
        "drop_socket",
        "never_pay",
        "poll",
        "extend_late",
        "deny_then_pay",
        "cancel",
        "end_early",
        "sensitive",
        "plain",
    )

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._first = deque(self.FIRST)

    def deal(self, missing: Collection[str] = ()) -> Scene:
        """Return the next scene; half of them go to paths that nobody has walked yet."""
        wanted = [SCENE_OF[path] for path in missing if path in SCENE_OF]
        if self._first:
            name = self._first.popleft()
        elif wanted and self._rng.random() < 0.5:
            name = self._rng.choice(wanted)
        else:
            name = self._drawn()
        return Scene(name, self._rng.choice(TOPICS.get(name, PLAIN_TOPICS)))

    def again(self, name: Name) -> None:
        """Play a scene once more soon: it did not come to its end."""
        if name not in self._first:
            self._first.append(name)

    def _drawn(self) -> Name:
        names = list(WEIGHTS)
        return self._rng.choices(names, weights=[WEIGHTS[name] for name in names])[0]
