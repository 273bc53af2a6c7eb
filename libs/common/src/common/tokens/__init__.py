"""Access tokens are verified here, by every service itself; only auth makes them."""

from common.tokens.caller import Caller, KeysUnavailable, Role, TokenExpired, TokenInvalid
from common.tokens.keys import JwksKeys, KeySource, SecretKey, StaticKeys, parse_jwks
from common.tokens.verifier import (
    AUDIENCE_OF_ROLE,
    LEEWAY,
    LONGEST_LIFE,
    LONGEST_TOKEN,
    Verifier,
    build_verifier,
)

__all__ = [
    "AUDIENCE_OF_ROLE",
    "LEEWAY",
    "LONGEST_LIFE",
    "LONGEST_TOKEN",
    "Caller",
    "JwksKeys",
    "KeySource",
    "KeysUnavailable",
    "Role",
    "SecretKey",
    "StaticKeys",
    "TokenExpired",
    "TokenInvalid",
    "Verifier",
    "build_verifier",
    "parse_jwks",
]
