"""What can go wrong in availability, each with a stable code."""

from datetime import date, time
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


class WindowEmpty(AvailabilityError):
    """The window must start before it ends, and before now."""

    code: ClassVar[str] = "window_empty"


class WindowTooLong(AvailabilityError):
    """The window may be 62 days long at the most; ask for the parts one by one."""

    code: ClassVar[str] = "window_too_long"


class ReseedUnknown(AvailabilityError):
    """There is no such reseed, or it was more than 7 days ago."""

    code: ClassVar[str] = "reseed_unknown"


class NoBrake(AvailabilityError):
    """No stopped pass waits for a confirmation: it went on, or too much time has passed."""

    code: ClassVar[str] = "no_brake"


class BrakeChanged(AvailabilityError):
    """The stopped pass names other mitras by now; look again before you confirm it."""

    code: ClassVar[str] = "brake_changed"


class FencePassed(AvailabilityError):
    """Somebody with a newer lease has commanded already: this command came too late."""

    code: ClassVar[str] = "fence_passed"


class InGrace(AvailabilityError):
    """Beats could not be brought here for a while: everybody gets time to be heard first."""

    code: ClassVar[str] = "in_grace"


class TimeZoneUnknown(AvailabilityError):
    """No such time zone; give a name such as Asia/Jakarta."""

    code: ClassVar[str] = "time_zone_unknown"


class HoursOverlap(AvailabilityError):
    """These weekly hours begin before others have ended."""

    code: ClassVar[str] = "hours_overlap"

    def __init__(self, *, day: int, opens: time) -> None:
        super().__init__()
        self.day = day
        self.opens = opens

    def fields(self) -> dict[str, object]:
        """Name the opening that begins too early."""
        return {"day": self.day, "opens": f"{self.opens:%H:%M}"}


class ExceptionsClash(AvailabilityError):
    """A date is both open and closed, or its hours begin before others have ended."""

    code: ClassVar[str] = "exceptions_clash"

    def __init__(self, day: date) -> None:
        super().__init__()
        self.date = day

    def fields(self) -> dict[str, object]:
        """Name the date."""
        return {"date": self.date.isoformat()}


class EndUnfit(AvailabilityError):
    """The end of a maintenance must lie ahead, at most 366 days."""

    code: ClassVar[str] = "end_unfit"


class ConfigConflict(AvailabilityError):
    """Somebody changed the service hours meanwhile; read them again."""

    code: ClassVar[str] = "config_conflict"

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = version

    def fields(self) -> dict[str, object]:
        """Name the version of now."""
        return {"version": self.version}
