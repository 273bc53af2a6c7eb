"""Signing keys: ES256 with a published key set, or HS256 with one shared secret."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth.domain.secrets import SHORTEST_ROOT
from common.tokens import KeySource, SecretKey, StaticKeys

_TYPE = "at+jwt"


class Es256Keys:
    """Signs with one private key; publishes its public half and any extra public keys."""

    def __init__(
        self, signing: ec.EllipticCurvePrivateKey, extra: Sequence[ec.EllipticCurvePublicKey]
    ) -> None:
        self._signing = signing
        self._public = {key_id(key): key for key in (signing.public_key(), *extra)}
        self._kid = key_id(signing.public_key())

    @classmethod
    def load(cls, signing: Path, extra: Sequence[Path]) -> "Es256Keys":
        """Read PEM files; ValueError if one is not of P-256."""
        private = serialization.load_pem_private_key(signing.read_bytes(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{signing} holds no EC private key")  # noqa: TRY004 - a fault of the file
        keys = [_public(path) for path in extra]
        for key in (private.public_key(), *keys):
            if not isinstance(key.curve, ec.SECP256R1):
                raise ValueError("signing keys must be of the curve P-256")  # noqa: TRY004 - same
        return cls(private, keys)

    def access_token(self, claims: Mapping[str, Any]) -> str:
        """Sign."""
        headers = {"kid": self._kid, "typ": _TYPE}
        return jwt.encode(dict(claims), self._signing, algorithm="ES256", headers=headers)

    def jwks(self) -> list[dict[str, str]]:
        """Return the public keys as JWKs."""
        return [
            {**_jwk(key), "kid": kid, "use": "sig", "alg": "ES256"}
            for kid, key in self._public.items()
        ]

    def source(self) -> KeySource:
        """Return the keys for our own verifier."""
        return StaticKeys(self._public)


class Hs256Keys:
    """Signs with a secret that every service holds; publishes nothing."""

    def __init__(self, secret: bytes) -> None:
        self._source = SecretKey(secret)
        self._secret = secret

    def access_token(self, claims: Mapping[str, Any]) -> str:
        """Sign."""
        return jwt.encode(dict(claims), self._secret, algorithm="HS256", headers={"typ": _TYPE})

    def jwks(self) -> list[dict[str, str]]:
        """Return nothing: a secret is not published."""
        return []

    def source(self) -> KeySource:
        """Return the secret for our own verifier."""
        return self._source


def load_secret(path: Path) -> bytes:
    """Read a root secret; ValueError if it is too short to be one."""
    secret = path.read_bytes()
    if secret.isascii():
        # Written by an editor or a shell: its last line end is no part of it.
        secret = secret.strip()
    if len(secret) < SHORTEST_ROOT:
        raise ValueError(f"{path} needs at least {SHORTEST_ROOT} bytes")
    return secret


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return the RFC 7638 thumbprint of a key: its id everywhere."""
    canonical = json.dumps(_jwk(key), separators=(",", ":"), sort_keys=True)
    return _b64(hashlib.sha256(canonical.encode()).digest())


def _public(path: Path) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError(f"{path} holds no EC public key")  # noqa: TRY004 - a fault of the file
    return key


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": _b64(numbers.x.to_bytes(32, "big")),
        "y": _b64(numbers.y.to_bytes(32, "big")),
    }


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
