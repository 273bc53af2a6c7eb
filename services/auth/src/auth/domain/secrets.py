"""Keys derived from one root that lives outside of the database."""

import hashlib
import hmac

SHORTEST_ROOT = 32


def subkey(root: bytes, purpose: str, subject: bytes = b"") -> bytes:
    """Derive the 32-byte key of one purpose and subject (HKDF-SHA256, RFC 5869)."""
    extracted = hmac.digest(b"temani auth", root, hashlib.sha256)
    info = purpose.encode() + b"\x00" + subject
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)
