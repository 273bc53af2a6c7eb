"""Facts that a test tells the mirror past Postgres."""

from uuid import UUID

from mirror import Stamp
from mirror.values import ActiveFact, Fact, LoadFact, OnlineFact


def online(mitra: UUID, version: int, value: bool = True, *, age: int = 0, epoch: int = 1) -> Fact:  # noqa: FBT001, FBT002
    """Make a fact about her wish."""
    return OnlineFact(mitra, Stamp(epoch, version), value, age)


def active(mitra: UUID, version: int, value: bool = True, *, epoch: int = 1) -> Fact:  # noqa: FBT001, FBT002
    """Make a fact about operators' leave."""
    return ActiveFact(mitra, Stamp(epoch, version), value)


def load(mitra: UUID, version: int, held: int = 0, *, epoch: int = 1) -> Fact:
    """Make a fact about her slots, of three."""
    return LoadFact(mitra, Stamp(epoch, version), held, 3)
