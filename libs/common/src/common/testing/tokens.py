"""Tokens for tests: signed with a real key, as auth would sign them."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from common.clock import Clock
from common.ids import new_id
from common.revocation import LoginRevoked
from common.tokens import Caller, StaticKeys, Verifier


class Mint:
    """Makes access tokens with a fresh ES256 key."""

    def __init__(self, clock: Clock, *, kid: str = "test-key") -> None:
        self.clock = clock
        self.kid = kid
        self.key = ec.generate_private_key(ec.SECP256R1())

    def claims(
        self, *, role: str = "customer", life: float = 600, **changes: Any
    ) -> dict[str, Any]:
        """Return valid claims, changed as told; None takes a claim away."""
        now = self.clock.now().timestamp()
        claims = {
            "iss": "temani",
            "aud": "control" if role == "operator" else "app",
            "sub": str(new_id()),
            "sid": str(new_id()),
            "role": role,
            "gen": 1,
            "iat": int(now),
            "exp": int(now + life),
            "jti": new_id().hex,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        """Sign claims; headers override kid and typ, None takes one away."""
        wanted = {"kid": self.kid, "typ": "at+jwt", **headers}
        kept = {name: value for name, value in wanted.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers=kept)

    def token(
        self,
        *,
        user_id: UUID | None = None,
        role: str = "customer",
        login_id: UUID | None = None,
        life: float = 600,
    ) -> str:
        """Make a valid token."""
        return self.sign(
            self.claims(
                role=role, life=life, sub=str(user_id or new_id()), sid=str(login_id or new_id())
            )
        )

    def jwks(self) -> dict[str, Any]:
        """Return the public key set."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def verifier(self) -> Verifier:
        """Return a verifier that knows this key."""
        keys = StaticKeys({self.kid: self.key.public_key()})
        return Verifier(keys=keys, algorithm="ES256", clock=self.clock)


class FakeRevocations:
    """Revocations without servers: what is revoked is what the test says."""

    def __init__(self) -> None:
        self.revoked: set[UUID] = set()
        self.error: Exception | None = None
        self._callbacks: list[Callable[[UUID], None]] = []
        self.watched: list[Callable[[], Iterable[UUID]]] = []

    async def check(self, caller: Caller) -> None:
        """Raise LoginRevoked for revoked logins, or the error the test has set."""
        if caller.login_id in self.revoked:
            raise LoginRevoked
        if self.error is not None:
            raise self.error

    def vouches_for(self, caller: Caller) -> bool:
        """Tell whether check() would pass."""
        return caller.login_id not in self.revoked and self.error is None

    def on_revoked(self, callback: Callable[[UUID], None]) -> None:
        """Call back for each login that ends."""
        self._callbacks.append(callback)

    def watch(self, logins: Callable[[], Iterable[UUID]]) -> None:
        """Note who has open sockets."""
        self.watched.append(logins)

    def revoke(self, login_ids: Iterable[UUID]) -> None:
        """End logins and tell who waits for it."""
        for login_id in login_ids:
            self.revoked.add(login_id)
            for callback in self._callbacks:
                callback(login_id)
