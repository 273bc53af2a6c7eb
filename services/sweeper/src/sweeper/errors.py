"""What can go wrong in a sweep, by code."""

from typing import ClassVar


class SweeperError(Exception):
    """A sweep could not do its work."""

    code: ClassVar[str] = "sweeper_error"


class OwnerUnavailable(SweeperError):
    """The owner of the rows did not answer."""

    code: ClassVar[str] = "owner_unavailable"


class LeaseLost(SweeperError):
    """Another replica drives this shard now."""

    code: ClassVar[str] = "lease_lost"
