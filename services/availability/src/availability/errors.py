"""What can go wrong in availability, each with a stable code."""

from typing import ClassVar


class AvailabilityError(Exception):
    """Something in availability went wrong."""

    code: ClassVar[str] = "availability_error"

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class MitraInactive(AvailabilityError):
    """An operator has switched this mitra off."""

    code: ClassVar[str] = "mitra_inactive"


class MitraUnknown(AvailabilityError):
    """There is no such mitra."""

    code: ClassVar[str] = "mitra_unknown"
