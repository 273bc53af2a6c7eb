"""Passwords of operators: what is good enough, and how long a wrong one costs."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """Length and strength; classes of characters are asked for only where a rule demands it."""

    shortest: int = 15
    longest: int = 128
    least_score: int = 3
    least_classes: int = 0


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """Waiting after wrong passwords, by account and address; operators may edit it."""

    tries: int = 5
    first_wait_seconds: int = 60
    longest_wait_seconds: int = 900
    forget_after_seconds: int = 43_200


@dataclass(frozen=True, slots=True)
class Credentials:
    """An operator and the hash of her password."""

    password_hash: str
    is_active: bool


def normalise(password: str) -> str:
    """Return the form in which a password is hashed, however the keyboard composed it."""
    return unicodedata.normalize("NFKC", password)


def normalise_email(email: str) -> str | None:
    """Return the address in its compared form, or None if it is none."""
    text = unicodedata.normalize("NFKC", email).strip().lower()
    return text if _EMAIL.fullmatch(text) and "." in text.rpartition("@")[2] else None


def account_key(email: str) -> bytes:
    """Return the digest under which tries for an e-mail address are counted."""
    folded = unicodedata.normalize("NFKC", email).strip().lower()
    return hashlib.sha256(b"temani account\x00" + folded.encode()).digest()


def classes(password: str) -> int:
    """Count the kinds of characters: lower, upper, digit, other."""
    kinds = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    return sum(any(kind(c) for c in password) for kind in kinds)


def objection(password: str, *, score: int, policy: PasswordPolicy) -> str | None:
    """Return why a password is refused, or None; the score is zxcvbn's, 0 to 4."""
    if len(password) < policy.shortest:
        return f"it needs at least {policy.shortest} characters"
    if len(password) > policy.longest:
        return f"it may have at most {policy.longest} characters"
    if classes(password) < policy.least_classes:
        return f"it needs {policy.least_classes} kinds of characters"
    if score < policy.least_score:
        return "it is too easy to guess"
    return None


def block_seconds(failures: int, policy: LockoutPolicy) -> int:
    """Return how long the account waits after this many failures in a row; 0 for not at all."""
    if failures < policy.tries:
        return 0
    doublings = min(failures - policy.tries, 30)
    return min(policy.longest_wait_seconds, policy.first_wait_seconds << doublings)
