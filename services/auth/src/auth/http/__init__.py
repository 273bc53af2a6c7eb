"""The HTTP side of auth: parse, call a handler, render; and which error has which status."""

from typing import Final

from auth import errors
from auth.http.control import routes as control_routes
from auth.http.logins import routes as login_routes
from auth.http.mitras import routes as mitra_routes
from auth.http.shared import HANDLERS, Handlers
from auth.http.sign_in import routes as sign_in_routes

__all__ = ["HANDLERS", "ROUTES", "STATUS", "Handlers"]

ROUTES: Final = (sign_in_routes, login_routes, control_routes, mitra_routes)

STATUS: Final[dict[type[Exception], int]] = {
    errors.PhoneInvalid: 422,
    errors.PhoneNotAllowed: 422,
    errors.TooMany: 429,
    errors.OtpUnavailable: 503,
    errors.CodeInvalid: 401,
    errors.ChallengeExpired: 401,
    errors.AccountInactive: 403,
    errors.RefreshInvalid: 401,
    errors.RefreshExpired: 401,
    errors.RefreshReused: 401,
    errors.LoginEnded: 401,
    errors.LoginNotFound: 404,
    errors.CredentialsInvalid: 401,
    errors.PasswordsBusy: 503,
    errors.PhoneTaken: 409,
    errors.MitraNotFound: 404,
    errors.ConfigConflict: 409,
}
