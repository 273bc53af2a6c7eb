"""What can go wrong in auth; the code is stable, the docstring is what people read."""

from typing import Any, ClassVar


class AuthError(Exception):
    """Auth refused."""

    code: ClassVar[str] = "auth_error"

    def __init__(self) -> None:
        super().__init__()


class PhoneInvalid(AuthError):
    """This is not a phone number."""

    code = "phone_invalid"


class PhoneNotAllowed(AuthError):
    """Only mobile numbers of the served countries can be used, without an extension."""

    code = "phone_not_allowed"


class TooMany(AuthError):
    """Too many tries; wait before the next one."""

    code = "too_many_attempts"

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = max(1.0, retry_after)


class ResendTooEarly(TooMany):
    """A code was sent to this number already; wait before asking for another."""

    code = "resend_too_early"


class TooManySends(TooMany):
    """Too many codes were asked for; wait before asking again."""

    code = "too_many_sends"


class OtpUnavailable(AuthError):
    """The code could not be sent; try again later."""

    code = "otp_unavailable"
    retry_after = 5.0


class CodeInvalid(AuthError):
    """The code is wrong or no longer valid."""

    code = "code_invalid"


class ChallengeExpired(AuthError):
    """The code is wrong or no longer valid."""

    code = "challenge_expired"


class AccountInactive(AuthError):
    """This account is switched off; ask an operator."""

    code = "account_inactive"


class RefreshInvalid(AuthError):
    """The refresh token is not valid."""

    code = "refresh_invalid"


class RefreshExpired(AuthError):
    """This login has ended after its longest time; sign in again."""

    code = "refresh_expired"


class RefreshReused(AuthError):
    """This refresh token was used before; the login was ended for safety."""

    code = "refresh_reused"


class LoginEnded(AuthError):
    """This login was ended; sign in again."""

    code = "login_revoked"


class LoginNotFound(AuthError):
    """There is no such login of yours."""

    code = "login_not_found"


class CredentialsInvalid(AuthError):
    """E-mail and password do not fit, or there were too many tries."""

    code = "credentials_invalid"


class SignInBlocked(TooMany):
    """E-mail and password do not fit, or there were too many tries."""

    code = "sign_in_blocked"


class PasswordsBusy(AuthError):
    """Too many sign-ins at once; try again in a moment."""

    code = "sign_in_busy"
    retry_after = 1.0


class PasswordRefused(AuthError):
    """The password does not meet the policy."""

    code = "password_refused"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __str__(self) -> str:
        return f"The password does not meet the policy: {self.reason}."

    def fields(self) -> dict[str, Any]:
        """Return what the problem document adds."""
        return {"reason": self.reason}


class EmailInvalid(AuthError):
    """This is not an e-mail address."""

    code = "email_invalid"


class OperatorExists(AuthError):
    """There is an operator with this e-mail address already."""

    code = "operator_exists"


class PhoneTaken(AuthError):
    """There is a mitra with this phone number already."""

    code = "phone_taken"


class MitraNotFound(AuthError):
    """There is no such mitra."""

    code = "mitra_not_found"


class ConfigConflict(AuthError):
    """Somebody changed these settings meanwhile; read them again."""

    code = "config_conflict"

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = version

    def fields(self) -> dict[str, Any]:
        """Return what the problem document adds."""
        return {"version": self.version}
