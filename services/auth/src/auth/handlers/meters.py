"""Numbers for the people who watch; labels are from closed sets, never a person's."""

from typing import Final

from prometheus_client import Counter

SENDS: Final = Counter(
    "auth_otp_sends_total", "Codes handed to the provider", ["channel", "outcome"]
)
CODES: Final = Counter("auth_otp_codes_total", "Codes typed in", ["outcome"])
SIGN_INS: Final = Counter("auth_sign_ins_total", "Logins opened", ["role"])
PASSWORDS: Final = Counter("auth_passwords_total", "Passwords tried", ["outcome"])
REFRESHES: Final = Counter("auth_refreshes_total", "Refresh tokens shown", ["outcome"])
ENDED: Final = Counter("auth_logins_ended_total", "Logins ended before their time", ["reason"])
