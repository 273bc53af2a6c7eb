"""Refresh tokens: a login and a counter under a key; nothing of them is stored.

The same login, counter, audience and device always give the same token, so a lost answer can be
given again. The text is `tmr1_` and 80 letters: key id 4 bytes, login 16, counter 8, MAC 32.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from auth.domain.secrets import SHORTEST_ROOT, subkey
from auth.errors import RefreshInvalid

_PREFIX: Final = "tmr1_"
_LENGTH: Final = len(_PREFIX) + 80


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a genuine token says."""

    login_id: UUID
    generation: int


class RefreshTokens:
    """Makes tokens under the first root and reads those of every root given."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        if not roots or any(len(root) < SHORTEST_ROOT for root in roots):
            raise ValueError(f"a refresh secret needs at least {SHORTEST_ROOT} bytes")
        self._roots = {subkey(root, "refresh key id v1")[:4]: root for root in roots}
        self._current = next(iter(self._roots))

    def mint(self, login_id: UUID, generation: int, *, audience: str, device_key: bytes) -> str:
        """Return the token of one generation."""
        said = self._current + login_id.bytes + generation.to_bytes(8, "big")
        mac = self._mac(self._current, said, audience=audience, device_key=device_key)
        return _PREFIX + base64.urlsafe_b64encode(said + mac).decode()

    def read(self, token: str, *, audience: str, device_key: bytes) -> RefreshToken:
        """Return what a token says; RefreshInvalid if we did not make it for this device."""
        raw = _bytes(token)
        said, mac = raw[:28], raw[28:]
        if said[:4] not in self._roots:
            raise RefreshInvalid
        expected = self._mac(said[:4], said, audience=audience, device_key=device_key)
        if not hmac.compare_digest(expected, mac):
            raise RefreshInvalid
        return RefreshToken(UUID(bytes=said[4:20]), int.from_bytes(said[20:28], "big"))

    def _mac(self, kid: bytes, said: bytes, *, audience: str, device_key: bytes) -> bytes:
        key = subkey(self._roots[kid], "refresh token v1", said[4:20])
        return hmac.digest(key, said + device_key + audience.encode(), hashlib.sha256)


def _bytes(token: str) -> bytes:
    # 60 bytes fill 80 letters exactly: no spare bit exists that could be flipped unnoticed.
    if len(token) != _LENGTH or not token.isascii() or not token.startswith(_PREFIX):
        raise RefreshInvalid
    try:
        raw = base64.b64decode(token[len(_PREFIX) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefreshInvalid from error
    if len(raw) != 60:
        raise RefreshInvalid
    return raw
