"""One-time codes: what a code is, how long it lives, when the next may be sent."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from auth.domain.people import OtpRole
from auth.domain.secrets import subkey

Channel = Literal["whatsapp", "sms", "missed_call"]

CODE_LENGTH: Final = 6
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)
_CODES: Final = 10**CODE_LENGTH
# The largest multiple of a million below 2**32: what lies above would favour the small codes.
_FAIR: Final = 2**32 - 2**32 % _CODES


@dataclass(frozen=True, slots=True)
class OtpPolicy:
    """Limits of one-time codes; operators may edit them."""

    life_seconds: int = 300
    tries: int = 5
    resend_waits_seconds: tuple[int, ...] = (60, 120, 300, 900)
    sends_per_phone_hour: int = 5
    sends_per_phone_day: int = 10
    sends_per_address_hour: int = 10
    phones_per_address_hour: int = 5
    sends_per_minute: int = 60
    wrong_per_phone_day: int = 15
    wrong_per_address_hour: int = 30


@dataclass(frozen=True, slots=True)
class Challenge:
    """A code that was sent, without the code."""

    challenge_id: UUID
    phone: str
    role: OtpRole
    device_key: bytes
    channel: Channel
    is_silent: bool
    tries_left: int
    created_at: datetime
    expires_at: datetime
    consumed_at: datetime | None = None
    request_key: bytes | None = None

    def is_living(self, now: datetime) -> bool:
        """Whether the code may still be typed in."""
        return self.consumed_at is None and self.tries_left > 0 and now < self.expires_at


@dataclass(frozen=True, slots=True)
class AddressSends:
    """What one client address asked for lately."""

    sent_at: Sequence[datetime]
    sent_to: Sequence[str]


class Codes:
    """Derives the code of a challenge; the same challenge has the same code as long as it lives."""

    def __init__(self, root: bytes) -> None:
        self._key = subkey(root, "otp code v1")

    def code(self, challenge: Challenge) -> str:
        """Return the six digits, each of the million codes equally likely."""
        bound = b"\x00".join((challenge.phone.encode(), challenge.role.encode(), b"sign_in"))
        seed = challenge.challenge_id.bytes + challenge.device_key + bound
        counter = 0
        while True:
            block = hmac.digest(self._key, counter.to_bytes(4, "big") + seed, hashlib.sha256)
            for start in range(0, len(block), 4):
                number = int.from_bytes(block[start : start + 4], "big")
                if number < _FAIR:
                    return str(number % _CODES).zfill(CODE_LENGTH)
            counter += 1

    def fits(self, challenge: Challenge, code: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.code(challenge).encode(), code.encode())


def send_wait(sent_at: Sequence[datetime], now: datetime, policy: OtpPolicy) -> tuple[float, bool]:
    """Return the seconds until the next code may go to a phone, and whether a cap causes them."""
    hour = sorted(at for at in sent_at if at > now - HOUR)
    day = sorted(at for at in sent_at if at > now - DAY)
    ladder = cap = now
    if hour:
        waits = policy.resend_waits_seconds
        wait = timedelta(seconds=waits[min(len(hour), len(waits)) - 1])
        ladder = max(now, hour[-1] + wait)
    if len(hour) >= policy.sends_per_phone_hour:
        cap = max(cap, hour[-policy.sends_per_phone_hour] + HOUR)
    if len(day) >= policy.sends_per_phone_day:
        cap = max(cap, day[-policy.sends_per_phone_day] + DAY)
    return (max(ladder, cap) - now).total_seconds(), cap > ladder


def address_wait(sends: AddressSends, phone: str, now: datetime, policy: OtpPolicy) -> float:
    """Return the seconds until this address may ask for a code for this phone."""
    recent = sorted(
        (at, to) for at, to in zip(sends.sent_at, sends.sent_to, strict=True) if at > now - HOUR
    )
    until = now
    if len(recent) >= policy.sends_per_address_hour:
        until = max(until, recent[-policy.sends_per_address_hour][0] + HOUR)
    last = {to: at for at, to in recent if to != phone}
    if len(last) >= policy.phones_per_address_hour:
        until = max(until, sorted(last.values())[-policy.phones_per_address_hour] + HOUR)
    return (until - now).total_seconds()


def window_wait(at: Sequence[datetime], now: datetime, *, limit: int, span: timedelta) -> float:
    """Return the seconds until fewer than `limit` of these moments lie within `span`."""
    recent = sorted(moment for moment in at if moment > now - span)
    if len(recent) < limit:
        return 0.0
    return (recent[-limit] + span - now).total_seconds()
