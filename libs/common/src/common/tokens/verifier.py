"""From a token to its caller."""

import re
import string
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import jwt
import orjson
from asyncpg.pgproto import pgproto
from jwt.utils import base64url_decode, base64url_encode

from common.clock import Clock
from common.runner import Runner
from common.tokens.caller import Caller, Role, TokenExpired, TokenInvalid
from common.tokens.keys import JwksKeys, KeySource, SecretKey

AUDIENCE_OF_ROLE: Final[Mapping[str, str]] = {
    "customer": "app",
    "mitra": "app",
    "operator": "control",
}
LEEWAY = timedelta(seconds=10)
LONGEST_LIFE = timedelta(minutes=15)
LONGEST_TOKEN = 4096
_MOST_KIDS = 64
_BASE64URL: Final = (string.ascii_letters + string.digits + "-_").encode()
_CLAIMS: Final = frozenset(("iss", "aud", "sub", "sid", "role", "gen", "iat", "exp", "jti"))
_KID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class _Jws(jwt.PyJWS):
    """PyJWT's, which looks at each letter of a token in a Python loop: a tenth of all it does."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        """Decode what is plainly right; whatever is not gets PyJWT's own verdict."""
        if len(segment) % 4 != 1 and not segment.translate(None, _BASE64URL):
            decoded = base64url_decode(segment)
            if base64url_encode(decoded) == segment:
                return decoded
        return super(_Jws, _Jws)._decode_base64url_segment(segment, name)


class Verifier:
    """Turns a token into a caller, or says why not; verdicts are cached by token."""

    # About 1 KB each; a replica with more living tokens than this verifies some of them anew.
    most_cached = 16_384

    def __init__(
        self, *, keys: KeySource, algorithm: str, clock: Clock, issuer: str = "temani"
    ) -> None:
        if algorithm not in ("ES256", "HS256"):
            raise ValueError(f"unsupported token algorithm {algorithm}")
        self._keys = keys
        self._issuer = issuer
        self._algorithm = algorithm
        self._clock = clock
        self._cache: OrderedDict[str, Caller] = OrderedDict()
        self._cache_version = keys.version
        self._kids: dict[str, str | None] = {}
        # The signature is PyJWT's business; what the claims must be is said below, once.
        self._jws = _Jws(options={"enforce_minimum_key_length": True})

    def known(self, token: str) -> Caller | None:
        """Return the caller of a token that was verified before and holds; never waits."""
        if self._cache_version != self._keys.version:
            return None
        caller = self._cache.get(token)
        if caller is None or self._clock.now() > caller.expires_at + LEEWAY:
            return None
        return caller

    async def verify(self, token: str, *, once: bool = False) -> Caller:
        """Return the caller of an access token; what is asked `once` is not remembered.

        Raises TokenInvalid, TokenExpired, or KeysUnavailable when the signer's keys are away.
        """
        if self._cache_version != self._keys.version:
            self._cache.clear()
            self._cache_version = self._keys.version
        caller = self._cache.get(token)
        if caller is None:
            caller = await self._verify(token)
            if not once:
                self._cache[token] = caller
            while len(self._cache) > self.most_cached:
                self._cache.popitem(last=False)
        if self._clock.now() > caller.expires_at + LEEWAY:
            self._cache.pop(token, None)
            raise TokenExpired
        return caller

    async def _verify(self, token: str) -> Caller:
        key = await self._keys.key(self._kid_of(token))
        try:
            signed = self._jws.decode_complete(token, key, algorithms=[self._algorithm])
            claims = orjson.loads(signed["payload"])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenInvalid from error
        if not isinstance(claims, dict):
            raise TokenInvalid
        return self._caller(claims)

    def _kid_of(self, token: str) -> str | None:
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise TokenInvalid
        header = token.partition(".")[0]
        if header not in self._kids:
            # All tokens of one key have one header: it is read once, and the token itself again
            # in any case, where its signature is verified.
            if len(self._kids) >= _MOST_KIDS:
                self._kids.clear()
            self._kids[header] = self._read_kid(token)
        return self._kids[header]

    def _read_kid(self, token: str) -> str | None:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenInvalid from error
        # pyjwt accepts any typ; without this a refresh or logout token of ours would pass.
        if header.get("typ") != "at+jwt" or header.get("alg") != self._algorithm:
            raise TokenInvalid
        if "crit" in header:
            raise TokenInvalid
        kid = header.get("kid")
        if kid is not None and (not isinstance(kid, str) or not _KID.fullmatch(kid)):
            raise TokenInvalid
        return kid

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        if not claims.keys() >= _CLAIMS:
            raise TokenInvalid
        role, audience = claims["role"], claims["aud"]
        if claims["iss"] != self._issuer or not isinstance(role, str):
            raise TokenInvalid
        if AUDIENCE_OF_ROLE.get(role) != audience:
            raise TokenInvalid
        issued_at, expires_at = _moment(claims["iat"]), _moment(claims["exp"])
        if issued_at > self._clock.now() + LEEWAY or expires_at - issued_at > LONGEST_LIFE:
            raise TokenInvalid
        generation = claims["gen"]
        if type(generation) is not int or generation < 0:
            raise TokenInvalid
        if not isinstance(claims["jti"], str) or not claims["jti"]:
            raise TokenInvalid
        return Caller(
            user_id=_uuid(claims["sub"]),
            role=cast("Role", role),
            login_id=_uuid(claims["sid"]),
            audience=str(audience),
            expires_at=expires_at,
            generation=generation,
        )


def _moment(value: object) -> datetime:
    if type(value) is not int and type(value) is not float:
        raise TokenInvalid
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise TokenInvalid from error


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or len(value) != 36:
        raise TokenInvalid
    try:
        # As rows have it: a UUID in C, which is parsed, hashed and written in a tenth of the time.
        return pgproto.UUID(value)
    except ValueError as error:
        raise TokenInvalid from error


def build_verifier(
    *, algorithm: str, jwks_url: str | None, secret: str | None, clock: Clock, runner: Runner
) -> Verifier:
    """Build the verifier that the settings ask for: ES256 by key set, or HS256 by secret."""
    keys: KeySource
    if algorithm == "HS256":
        keys = SecretKey((secret or "").encode())
    elif jwks_url:
        keys = JwksKeys(jwks_url, clock=clock, runner=runner)
    else:
        raise ValueError("ES256 needs the address of the key set")
    return Verifier(keys=keys, algorithm=algorithm, clock=clock)
