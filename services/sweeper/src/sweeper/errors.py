"""What can go wrong in a sweep, by code."""

from typing import ClassVar


class SweeperError(Exception):
    """A sweep could not do its work."""

    code: ClassVar[str] = "sweeper_error"


class OwnerUnavailable(SweeperError):  # as common.db.Unavailable
    """The owner of the rows did not answer."""

    code: ClassVar[str] = "owner_unavailable"


class LeaseLost(SweeperError):  # a past fact
    """Another replica drives this shard now."""

    code: ClassVar[str] = "lease_lost"
