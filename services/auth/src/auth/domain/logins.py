"""Logins: how long they live, how many a person may have, what a refresh token is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from auth.domain.people import Role

State = Literal["active", "revoked", "expired"]
RevokeReason = Literal["logout", "revoked", "evicted", "refresh_reused", "deactivated", "operator"]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a login of one role lives and how many one person may have."""

    access: timedelta
    idle: timedelta
    absolute: timedelta
    cap: int


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """How long a rotated token is answered with the same child."""

    grace: timedelta = timedelta(seconds=30)
    unseen_grace: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Login:
    """An authenticated device."""

    login_id: UUID
    user_id: UUID
    role: Role
    state: State
    generation: int
    seen_generation: int
    rotated_at: datetime
    device_key: bytes
    device_name: str | None
    network: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    absolute_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """What a client says about the device it runs on."""

    key: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Reissue:
    """The caller missed the answer, or is one of many at once: send the same child again."""

    late: bool


@dataclass(frozen=True, slots=True)
class Reused:
    """A token came back whose child was already used: somebody has a copy."""

    kind: Literal["child_seen", "too_late", "old_branch"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The login is over."""

    state: Literal["revoked", "expired"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """No such token was ever given out."""


Verdict = Reissue | Reused | Ended | Unknown


def first_expiry(now: datetime, lifetime: Lifetime) -> tuple[datetime, datetime]:
    """Return when a new login ends if unused, and when it ends at the latest."""
    absolute = now + lifetime.absolute
    return min(now + lifetime.idle, absolute), absolute


def judge_rotated(login: Login, generation: int, now: datetime, policy: RefreshPolicy) -> Verdict:
    """Say what a refresh token is worth that is not the current one (any more)."""
    if login.state != "active":
        return Ended("expired" if login.state == "expired" else "revoked")
    if now >= login.expires_at:
        return Ended("expired")
    if generation >= login.generation:
        return Unknown()
    if generation < login.generation - 1:
        return Reused("old_branch")
    age = now - login.rotated_at
    if age <= policy.grace:
        return Reissue(late=False)
    if login.seen_generation >= login.generation:
        return Reused("child_seen")
    if age <= policy.unseen_grace:
        return Reissue(late=True)
    return Reused("too_late")


def to_evict(active: Sequence[Login], cap: int) -> list[Login]:
    """Return the oldest logins that must go so that one more fits under the cap."""
    surplus = len(active) - cap + 1
    return sorted(active, key=lambda login: (login.created_at, login.login_id))[: max(0, surplus)]
