"""What an error of Valkey means to us."""

from typing import Final

from mirror.errors import MirrorUnavailable

REPLICA: Final = "it is a replica of another server"
_TAKES_NO_WRITES: Final = frozenset({"OOM", "MISCONF", "NOREPLICAS"})


class UnknownScript(Exception):  # a signal between this package's modules
    """The server does not know the script any more (SCRIPT FLUSH)."""


def meaning(error: str) -> UnknownScript | MirrorUnavailable:
    """Return what to raise for this error of Valkey's."""
    word = error.partition(" ")[0]
    if word == "NOSCRIPT":
        return UnknownScript()
    if word == "READONLY":
        return MirrorUnavailable(REPLICA, code="replica")
    if word in _TAKES_NO_WRITES:
        return MirrorUnavailable(f"it takes no writes: {error}", code="no_writes")
    if word == "WRONGTYPE":
        # Somebody else wrote to our keys: a seeding puts that right, waiting does not.
        return MirrorUnavailable(error, code="wrong_type")
    return MirrorUnavailable(error)


def holds_less(error: MirrorUnavailable) -> bool:
    """Return whether a server that says so holds less from here on than it was told."""
    return error.code in {"replica", "no_writes"}
