"""Which error is which status."""

from typing import Final

from availability import errors

STATUS: Final[dict[type[Exception], int]] = {
    errors.MitraInactive: 403,
    errors.MitraUnknown: 404,
}
