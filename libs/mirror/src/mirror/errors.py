"""What can go wrong with the mirror: only one thing, and it always means "ask Postgres"."""

from mirror.outcomes import AWAY, ReasonCode, State


class MirrorUnavailable(Exception):  # the glossary's word, as common.db.Unavailable
    """The mirror cannot be asked, or what answers is not a mirror: ask Postgres."""

    def __init__(self, reason: str, *, code: ReasonCode = "away") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code

    @property
    def state(self) -> State:
        """In which state the mirror is by that."""
        if self.code in AWAY:
            return "away"
        return "deaf" if self.code == "deaf" else "seeding"
