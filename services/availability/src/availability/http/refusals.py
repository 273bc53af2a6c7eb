"""Which error is which status."""

from typing import Final

from availability import errors

STATUS: Final[dict[type[Exception], int]] = {
    errors.MitraInactive: 403,
    errors.MitraUnknown: 404,
    errors.ReseedUnknown: 404,
    errors.NoBrake: 404,
    errors.BrakeChanged: 409,
    errors.WindowEmpty: 422,
    errors.WindowTooLong: 422,
    errors.TimeZoneUnknown: 422,
    errors.HoursOverlap: 422,
    errors.ExceptionsClash: 422,
    errors.EndUnfit: 422,
    errors.ConfigConflict: 409,
}
