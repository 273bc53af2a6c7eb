"""One session on one phone."""

from dataclasses import dataclass, field
from typing import Any

ALIVE = frozenset({"pending_payment", "active", "expired", "closing"})
OVER = frozenset({"completed", "cancelled", "rerouted"})


@dataclass
class Talk:
    """One session on one phone: the newest view, and the messages up to a seq without a gap."""

    session_id: str
    view: dict[str, Any]
    seq: int = 0
    texts: dict[int, dict[str, Any]] = field(default_factory=dict)  # waiting behind a gap
    heard: list[dict[str, Any]] = field(default_factory=list)
    goodbye_said: bool = False
    mending: bool = False
    attended: bool = False
    answered: set[str] = field(default_factory=set)  # extensions this person has dealt with
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)  # newest view by id

    @property
    def state(self) -> str:
        """Where the session is, as far as this phone knows."""
        return str(self.view["state"])

    @property
    def request_id(self) -> str:
        """The request it came from."""
        return str(self.view["request_id"])
