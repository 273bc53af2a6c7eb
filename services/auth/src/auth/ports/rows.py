"""Rows within one transaction, and where transactions come from."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from auth.domain.audit import Entry
from auth.domain.logins import Login, RevokeReason
from auth.domain.otp import AddressSends, Challenge, Channel, OtpPolicy
from auth.domain.passwords import Credentials, LockoutPolicy
from auth.domain.people import Mitra, OtpRole, Person, Role
from common.bus import Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the audit as it is read."""

    audit_id: UUID
    at: datetime
    entry: Entry


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """An edited section of the settings."""

    version: int
    body: Mapping[str, Any]
    updated_at: datetime


class People(Protocol):
    """Customers, mitras, operators."""

    async def sign_in_customer(self, phone: str, name: str, now: datetime) -> tuple[Person, bool]:
        """Find or create the customer of a phone and lock the row; True if created."""
        ...

    async def lock_mitra_of(self, phone: str) -> Person | None:
        """Find and lock the mitra of a phone."""
        ...

    async def may_mitra_sign_in(self, phone: str) -> bool:
        """Whether an active mitra has this phone."""
        ...

    async def lock_operator(self, email: str) -> Person | None:
        """Find and lock an operator."""
        ...

    async def credentials(self, email: str) -> Credentials | None:
        """Find an operator's password hash."""
        ...

    async def replace_hash(self, email: str, *, old: str, new: str) -> None:
        """Store a better hash of the same password, unless the password changed meanwhile."""
        ...

    async def insert_operator(
        self, operator_id: UUID, *, email: str, name: str, password_hash: str, now: datetime
    ) -> bool:
        """Create an operator; False if the e-mail is taken."""
        ...

    async def person(self, role: Role, user_id: UUID) -> Person | None:
        """Find somebody by role and id."""
        ...

    async def rename(self, role: Role, user_id: UUID, name: str) -> bool:
        """Change a customer's or mitra's display name."""
        ...

    async def insert_mitra(self, mitra: Mitra, *, created_by: UUID) -> bool:
        """Create a mitra; False if the phone is taken."""
        ...

    async def mitra(self, mitra_id: UUID) -> Mitra | None:
        """Find a mitra."""
        ...

    async def switch_mitra(
        self, mitra_id: UUID, *, is_active: bool, reason: str | None, now: datetime
    ) -> Mitra | None:
        """Set is_active and bump the version; None if it was so already or nobody is there."""
        ...

    async def mitras_after(self, after: UUID | None, limit: int) -> list[Mitra]:
        """List mitras, newest first, older than `after`."""
        ...


class Logins(Protocol):
    """Rows of logins."""

    async def active_logins(self, role: Role, user_id: UUID, now: datetime) -> list[Login]:
        """List a person's living logins, oldest first."""
        ...

    async def insert_login(self, login: Login) -> None:
        """Write a new login."""
        ...

    async def rotate(
        self, login_id: UUID, generation: int, *, idle: Mapping[Role, float], now: datetime
    ) -> Login | None:
        """Make the next generation current if this one is; the login as it is then, or None."""
        ...

    async def lock_login(self, login_id: UUID) -> Login | None:
        """Find and lock a login."""
        ...

    async def mark_seen(self, login_id: UUID, generation: int) -> None:
        """Remember that an access token of this generation was honoured."""
        ...

    async def revoke(
        self, login_ids: Sequence[UUID], *, reason: RevokeReason, now: datetime
    ) -> list[Login]:
        """End those of these logins that are still active; returns them."""
        ...

    async def expire_login(self, login_id: UUID, now: datetime) -> bool:
        """End a login that is past its time."""
        ...


class Otp(Protocol):
    """Rows of one-time codes and of their limits; each count is one statement."""

    async def take_phone_send(self, phone: str, now: datetime, policy: OtpPolicy) -> bool:
        """Count one message to a phone, if ladder and caps allow it."""
        ...

    async def take_address_send(
        self, address: str, phone: str, now: datetime, policy: OtpPolicy
    ) -> bool:
        """Count one message asked for by an address, if its caps allow it."""
        ...

    async def take_minute_send(self, now: datetime, policy: OtpPolicy) -> bool:
        """Count one message of the whole service."""
        ...

    async def give_back_send(self, challenge: Challenge, address: str, sent_at: datetime) -> None:
        """Undo the counts of a message that was certainly not sent, and a challenge never sent."""
        ...

    async def phone_sends(self, phone: str) -> list[datetime]:
        """When this phone was sent something."""
        ...

    async def address_sends(self, address: str) -> AddressSends:
        """What this address asked for."""
        ...

    async def find_living(
        self, phone: str, role: OtpRole, device_key: bytes, now: datetime
    ) -> Challenge | None:
        """Find the newest challenge that may still be answered."""
        ...

    async def find_challenge(self, challenge_id: UUID, device_key: bytes) -> Challenge | None:
        """Find a challenge of this device, living or not."""
        ...

    async def insert_challenge(self, challenge: Challenge) -> None:
        """Write a new challenge."""
        ...

    async def send_again(
        self, challenge_id: UUID, *, channel: Channel, request_key: bytes | None
    ) -> None:
        """Note another message for a living challenge."""
        ...

    async def take_wrong(
        self, phone: str, address: str, now: datetime, policy: OtpPolicy
    ) -> Literal["taken", "phone", "address"]:
        """Count one wrong code in advance; names whoever has had too many."""
        ...

    async def forgive_wrong(self, phone: str, address: str, now: datetime) -> None:
        """Take that count back: the code was right."""
        ...

    async def wrong_codes(self, phone: str, address: str) -> tuple[list[datetime], list[datetime]]:
        """When wrong codes were typed, by phone and by address."""
        ...

    async def take_try(
        self, challenge_id: UUID, *, phone: str, device_key: bytes, now: datetime
    ) -> Challenge | None:
        """Use up one try of a living challenge of this phone and device."""
        ...

    async def consume(self, challenge_id: UUID, now: datetime) -> bool:
        """Use the challenge up, once."""
        ...

    async def delete_challenge(self, challenge_id: UUID, now: datetime) -> bool:
        """Delete a challenge an hour past its end."""
        ...


class Tries(Protocol):
    """Wrong passwords."""

    async def take_password_try(
        self, account_key: bytes, address: str, now: datetime, policy: LockoutPolicy
    ) -> int | None:
        """Count one failure in advance; None while the account waits for this address."""
        ...

    async def password_blocked_until(self, account_key: bytes, address: str) -> datetime | None:
        """When the wait ends."""
        ...

    async def forget_password_tries(self, account_key: bytes, address: str) -> None:
        """The password was right."""
        ...


class Desk(Protocol):
    """Settings and audit."""

    async def config(self) -> StoredConfig | None:
        """Read the edited settings."""
        ...

    async def put_config(
        self, body: Mapping[str, Any], *, expected: int, by: UUID, now: datetime
    ) -> bool:
        """Replace them if their version is still the expected one (0: never edited)."""
        ...

    async def audit(self, entry: Entry) -> None:
        """Add one row."""
        ...

    async def audit_before(
        self, before: UUID | None, *, subject_id: UUID | None, action: str | None, limit: int
    ) -> list[AuditRow]:
        """List rows, newest first."""
        ...


class Housekeeping(Protocol):
    """Old rows."""

    async def due(self, limit: int) -> list[tuple[str, UUID]]:
        """List what is past its time."""
        ...

    async def prune(self, limit: int) -> int:
        """Delete up to `limit` old rows of each kind; how many went."""
        ...

    async def keep_audit(self, *, people_days: int, control_days: int) -> None:
        """Prepare the coming months of the audit and drop those past their time."""
        ...


class Unit(People, Logins, Otp, Tries, Desk, Housekeeping, Protocol):
    """One transaction: all of it happens or none."""

    async def now(self) -> datetime:
        """Return the database's time, read now: the only clock that decides."""
        ...

    async def append(self, *events: Event) -> None:
        """Say events, through the outbox."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this when, and only when, the transaction is committed."""
        ...


class Store(Protocol):
    """Where transactions come from."""

    async def run(self, work: Callable[[Unit], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again if a lock was in the way."""
        ...
