"""Which error is which HTTP status."""

from collections.abc import Mapping
from typing import Final

from chat import errors

STATUS: Final[Mapping[type[Exception], int]] = {
    errors.SessionNotFound: 404,
    errors.ExtensionNotFound: 404,
    errors.MitraNotFound: 404,
    errors.TierNotFound: 404,
    errors.PaymentNotFound: 404,
    errors.OrderUnknown: 404,
    errors.SessionNotActive: 409,
    errors.SessionOver: 409,
    errors.IllegalMove: 409,
    errors.GoodbyeSaid: 409,
    errors.MessageMismatch: 409,
    errors.ExtensionOpen: 409,
    errors.ExtensionResolved: 409,
    errors.ExtensionNotAccepted: 409,
    errors.MitraFull: 409,
    errors.SensitivityLatched: 409,
    errors.PaymentSettled: 409,
    errors.GoodbyeTooLong: 422,
    errors.MessageEmpty: 422,
    errors.TierUnknown: 422,
    errors.AmountMismatch: 422,
    errors.NotificationForged: 403,
    errors.PaymentUnavailable: 503,
}
