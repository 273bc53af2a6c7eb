"""What can go wrong with the mirror: only one thing, and it always means "ask Postgres"."""

from mirror.outcomes import ReasonCode, State


class MirrorUnavailable(Exception):  # the glossary's word, as common.db.Unavailable
    """The mirror cannot be asked, or what answers is not a mirror: ask Postgres."""

    def __init__(self, reason: str, *, state: State = "away", code: ReasonCode = "away") -> None:
        super().__init__(reason)
        self.reason = reason
        self.state = state
        self.code = code
