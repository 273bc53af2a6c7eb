"""Password hashes: argon2id, a few at a time, in threads; old bcrypt hashes still verify."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from auth import errors

T = TypeVar("T")

# OWASP's argon2id setting with the least passes: 46 MiB each, 60-70 ms.
MEMORY_KIB = 46 * 1024
_BCRYPT = ("$2a$", "$2b$", "$2y$")
# bcrypt never looked at more; since 5.0 the library raises instead of cutting.
_BCRYPT_LONGEST = 72


class Argon2Hasher:
    """Bounded in threads (memory) and in line (waiting time)."""

    def __init__(self, *, threads: int = 2, queue: int = 20) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=MEMORY_KIB, parallelism=1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._limit = threads + queue
        self._inside = 0
        # What unknown accounts are checked against: nobody knows its password, us included.
        self._dummy = self._hasher.hash(secrets.token_urlsafe(32))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Check; None stands for an unknown account and takes as long."""
        return await self._in_thread(lambda: self._verify(password_hash, password))

    async def hash(self, password: str) -> str:
        """Return an argon2id hash; PasswordsBusy when too many wait."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether a hash should be replaced at the next sign-in."""
        if password_hash.startswith(_BCRYPT):
            return True
        return self._hasher.check_needs_rehash(password_hash)

    def score(self, password: str, context: Sequence[str]) -> int:
        """Say how hard a password is to guess, 0 to 4; common passwords score 0."""
        return int(zxcvbn(password, user_inputs=list(context), max_length=1024)["score"])

    async def close(self) -> None:
        """Stop the threads; whoever waits gets a cancellation."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        if password_hash is not None and password_hash.startswith(_BCRYPT):
            raw = password.encode()[:_BCRYPT_LONGEST]
            return bcrypt.checkpw(raw, password_hash.encode())
        try:
            self._hasher.verify(password_hash or self._dummy, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._inside >= self._limit:
            raise errors.PasswordsBusy
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._inside -= 1
