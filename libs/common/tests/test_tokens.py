"""Tokens: only what auth signed, for access, for now, gets in; and keys survive auth's absence."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from common.clock import SystemClock
from common.runner import Runner
from common.testing import FakeClock, eventually
from common.testing.tokens import Mint
from common.tokens import (
    JwksKeys,
    KeysUnavailable,
    SecretKey,
    TokenExpired,
    TokenInvalid,
    Verifier,
    build_verifier,
    parse_jwks,
)
from common.tokens.verifier import _Jws

pytestmark = pytest.mark.req("AU-05")


@pytest.fixture
def clock() -> FakeClock:
    """A clock to turn."""
    return FakeClock()


@pytest.fixture
def mint(clock: FakeClock) -> Mint:
    """A signer."""
    return Mint(clock)


@pytest.fixture
def verifier(mint: Mint) -> Verifier:
    """A verifier that knows the signer."""
    return mint.verifier()


async def refused(verifier: Verifier, token: str) -> bool:
    """Tell whether a token is refused as invalid."""
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)
    return True


async def test_a_good_token_names_its_caller(mint: Mint, verifier: Verifier) -> None:
    """The caller has user, login, role, audience and generation of the token."""
    user_id, login_id = uuid4(), uuid4()
    caller = await verifier.verify(
        mint.token(user_id=user_id, login_id=login_id, role="operator", life=300)
    )

    assert (user_id, login_id) == (caller.user_id, caller.login_id)
    assert (caller.role, caller.audience, caller.generation) == ("operator", "control", 1)


async def test_other_algorithms_are_refused(mint: Mint, verifier: Verifier) -> None:
    """T16: none, HS256 keyed with the public PEM, RS256 and an empty algorithm do not pass."""
    claims, headers = mint.claims(), {"kid": mint.kid, "typ": "at+jwt"}
    public = mint.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = jwt.encode(claims, None, algorithm="none", headers=headers)
    tokens = [
        unsigned,
        _by_hand({"alg": "HS256", **headers}, claims, public),
        jwt.encode(claims, rsa_key, algorithm="RS256", headers=headers),
        _by_hand({"alg": "", **headers}, claims, b""),
        _by_hand({"alg": None, **headers}, claims, b""),
        _by_hand({"alg": ["ES256"], **headers}, claims, b""),
    ]

    assert all([await refused(verifier, token) for token in tokens])


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    import hmac  # noqa: PLC0415  # the library refuses to sign with a public key

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part(header) + b"." + part(claims)
    mac = hmac.digest(secret, signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


@pytest.mark.parametrize("typ", ["JWT", "refresh+jwt", "logout+jwt", "AT+JWT", None])
async def test_only_access_tokens_pass(mint: Mint, verifier: Verifier, typ: str | None) -> None:
    """T17: a token of another kind is refused though its signature is ours."""
    assert await refused(verifier, mint.sign(mint.claims(), typ=typ))


@pytest.mark.parametrize(
    "headers",
    [{"crit": ["exp"]}, {"kid": None}, {"kid": "other"}, {"kid": "../key"}, {"kid": "x" * 200}],
)
async def test_odd_headers_are_refused(
    mint: Mint, verifier: Verifier, headers: dict[str, Any]
) -> None:
    """T20: critical extensions and unknown or odd key ids do not pass."""
    assert await refused(verifier, mint.sign(mint.claims(), **headers))


async def test_addresses_in_headers_are_not_followed(mint: Mint, verifier: Verifier) -> None:
    """T20: jku, x5u and jwk are ignored: the key is ours or none."""
    stranger = Mint(mint.clock)
    token = stranger.sign(
        stranger.claims(),
        jku="http://127.0.0.1:1/keys",
        x5u="http://127.0.0.1:1/cert",
        jwk=stranger.jwks()["keys"][0],
    )

    assert await refused(verifier, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "control"},
        {"aud": ["app"]},
        {"aud": None},
        {"role": "admin"},
        {"role": ["customer"]},
        {"role": "operator"},
        {"sub": None},
        {"sub": "5"},
        {"sub": 5},
        {"sid": "not-a-uuid-but-of-the-same-length-xx"},
        {"sid": None},
        {"gen": None},
        {"gen": True},
        {"gen": -1},
        {"gen": "1"},
        {"jti": None},
        {"jti": ""},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1e300},
        {"exp": None},
        {"exp": True},
    ],
)
async def test_every_claim_is_needed_and_typed(
    mint: Mint, verifier: Verifier, changes: dict[str, Any]
) -> None:
    """A claim that is missing, of another type or of another system is refused."""
    claims = mint.claims()
    wrong = {**claims, **changes}
    kept = {name: value for name, value in wrong.items() if value is not None}
    if isinstance(kept.get("sub"), int) or isinstance(kept.get("iat"), str):
        token = _forced(mint, kept)
    else:
        token = mint.sign(kept)

    assert await refused(verifier, token)


def _forced(mint: Mint, claims: dict[str, Any]) -> str:
    headers = {"kid": mint.kid, "typ": "at+jwt"}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), mint.key, "ES256", headers)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 10, "x" * 5000, "e30.e30."])
async def test_garbage_is_refused(verifier: Verifier, token: str) -> None:
    """Text that is no token is refused like a forged one."""
    assert await refused(verifier, token)


async def test_clocks_may_differ_by_ten_seconds(mint: Mint, verifier: Verifier) -> None:
    """T19: iat 8 s ahead passes, 15 s fails; expired 8 s ago passes, 15 s fails."""
    now = int(mint.clock.now().timestamp())

    assert await verifier.verify(mint.sign(mint.claims(iat=now + 8)))
    assert await refused(verifier, mint.sign(mint.claims(iat=now + 15)))
    assert await verifier.verify(mint.sign(mint.claims(iat=now - 60, exp=now - 8)))
    with pytest.raises(TokenExpired):
        await verifier.verify(mint.sign(mint.claims(iat=now - 60, exp=now - 15)))


async def test_long_lives_are_refused(mint: Mint, verifier: Verifier) -> None:
    """A token that claims to live more than 15 minutes is not one of ours."""
    assert await verifier.verify(mint.token(life=900))
    assert await refused(verifier, mint.token(life=901))


async def test_a_cached_verdict_ends_with_its_token(
    clock: FakeClock, mint: Mint, verifier: Verifier
) -> None:
    """A token accepted before is refused once expired, cached or not."""
    token = mint.token(life=60)
    await verifier.verify(token)
    clock.advance(71)

    with pytest.raises(TokenExpired):
        await verifier.verify(token)


async def test_the_cache_is_bounded(mint: Mint, verifier: Verifier) -> None:
    """However many tokens come, the memory for their verdicts does not grow beyond its bound."""
    verifier.most_cached = 3
    for _ in range(6):
        await verifier.verify(mint.token())

    assert len(verifier._cache) == 3


async def test_a_shared_secret_is_an_option(clock: FakeClock) -> None:
    """HS256 deployments verify with the secret, and refuse a short one."""
    secret = "s" * 32
    verifier = build_verifier(
        algorithm="HS256", jwks_url=None, secret=secret, clock=clock, runner=Runner()
    )
    token = jwt.encode(Mint(clock).claims(), secret, "HS256", headers={"typ": "at+jwt"})

    assert await verifier.verify(token)
    assert await refused(verifier, Mint(clock).token())
    with pytest.raises(ValueError, match="32 bytes"):
        SecretKey(b"short")
    with pytest.raises(ValueError, match="key set"):
        build_verifier(algorithm="ES256", jwks_url=None, secret=None, clock=clock, runner=Runner())
    with pytest.raises(ValueError, match="algorithm"):
        Verifier(keys=SecretKey(b"s" * 32), algorithm="none", clock=SystemClock())


# --- the key set ---------------------------------------------------------------------------


class AuthDouble:
    """An endpoint that serves a key set, counts and fails as told."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.status = 200
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, _request: web.Request) -> web.Response:
        """Answer a fetch."""
        self.fetches += 1
        await self.gate.wait()
        return web.json_response(self.document, status=self.status)


@pytest.fixture
def auth(mint: Mint) -> AuthDouble:
    """Auth, with the signer's key."""
    return AuthDouble(mint.jwks())


@pytest.fixture
async def keys(auth: AuthDouble, clock: FakeClock, runner: Runner) -> AsyncIterator[JwksKeys]:
    """A key source that fetches from it."""
    app = web.Application()
    app.router.add_get("/jwks", auth.serve)
    async with TestServer(app) as server:
        keys = JwksKeys(str(server.make_url("/jwks")), clock=clock, runner=runner)
        keys.fetch_seconds = 20.0  # a busy machine is not an auth that is away
        yield keys


@pytest.mark.req("AU-04")
async def test_many_callers_cause_one_fetch(auth: AuthDouble, keys: JwksKeys, mint: Mint) -> None:
    """A cold start under load asks auth once."""
    auth.gate.clear()
    waiting = [asyncio.ensure_future(keys.key(mint.kid)) for _ in range(20)]
    await eventually(lambda: auth.fetches)
    auth.gate.set()
    await asyncio.gather(*waiting)

    assert auth.fetches == 1


@pytest.mark.req("AU-04")
async def test_random_key_ids_do_not_reach_auth(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """T21: 500 unknown key ids cause at most one fetch in 30 s, and are remembered, bounded."""
    await keys.key(mint.kid)
    clock.advance(31)
    for number in range(500):
        with pytest.raises(TokenInvalid):
            await keys.key(f"unknown-{number}")
    clock.advance(31)
    with pytest.raises(TokenInvalid):
        await keys.key("unknown-499")

    assert auth.fetches == 2
    assert len(keys._missing) <= keys.most_missing


async def test_a_new_key_is_found_when_first_used(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """T22: after a rotation the first token of the new key fetches it; a taken-away one is gone."""
    await keys.key(mint.kid)
    fresh = Mint(clock, kid="fresh")
    auth.document = fresh.jwks()
    clock.advance(31)

    assert await keys.key("fresh")
    assert keys.version == 1
    with pytest.raises(TokenInvalid):
        await keys.key(mint.kid)


async def test_verdicts_of_a_taken_away_key_are_dropped(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """T22: a cached token of a key that auth took away is refused."""
    verifier = Verifier(keys=keys, algorithm="ES256", clock=clock)
    token = mint.token()
    await verifier.verify(token)
    auth.document = Mint(clock, kid="fresh").jwks()
    clock.advance(31)
    await refused(verifier, mint.sign(mint.claims(), kid="fresh"))

    assert await refused(verifier, token)


async def test_known_keys_outlive_auth(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """T23: with auth down an hour tokens still verify; an unknown key id is 503, never accepted."""
    await keys.key(mint.kid)
    auth.status = 500
    clock.advance(3600)

    assert await keys.key(mint.kid)
    await eventually(lambda: auth.fetches == 2)
    with pytest.raises(KeysUnavailable):
        await keys.key("unknown")


async def test_keys_are_refreshed_beside_the_requests(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """Keys older than five minutes answer at once while they are fetched anew."""
    await keys.key(mint.kid)
    clock.advance(301)
    auth.gate.clear()

    assert await keys.key(mint.kid)
    auth.gate.set()
    assert await eventually(lambda: auth.fetches == 2)


async def test_keys_do_not_live_for_ever_without_auth(
    auth: AuthDouble, keys: JwksKeys, clock: FakeClock, mint: Mint
) -> None:
    """After a day without auth the keys are not believed any more."""
    await keys.key(mint.kid)
    auth.status = 500
    clock.advance(24 * 3600 + 1)

    with pytest.raises(KeysUnavailable):
        await keys.key(mint.kid)


async def test_auth_may_start_later(
    auth: AuthDouble, keys: JwksKeys, mint: Mint, clock: FakeClock
) -> None:
    """Before the first key set everything is 503; it is asked again each second."""
    auth.status = 503
    with pytest.raises(KeysUnavailable):
        await keys.key(mint.kid)
    auth.status = 200
    clock.advance(1)

    assert await keys.key(mint.kid)


@pytest.mark.parametrize(
    "document",
    [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"}]}, []],
)
def test_a_key_set_without_our_kind_is_none(document: object) -> None:
    """A set without an ES256 key (a symmetric one, say) never replaces the one we have."""
    with pytest.raises((ValueError, jwt.PyJWTError)):
        parse_jwks(json.dumps(document).encode())


@given(
    st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=40).map(base64.urlsafe_b64encode),
        st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")),
        st.text("AZaz09-_=+/.", max_size=40).map(str.encode),
    )
)
def test_segments_are_read_as_pyjwt_reads_them(segment: bytes) -> None:
    """Our quicker look at the letters has PyJWT's verdict on every text, right or wrong."""

    def read(jws: type[jwt.PyJWS]) -> bytes | str:
        try:
            return jws._decode_base64url_segment(segment, "part")
        except jwt.DecodeError as error:
            return str(error)

    assert read(_Jws) == read(jwt.PyJWS)


async def test_a_header_seen_before_vouches_for_nothing(mint: Mint, verifier: Verifier) -> None:
    """Headers are alike and read once; what follows them is verified each time."""
    token = mint.token()
    await verifier.verify(token)
    header, payload, signature = token.split(".")
    other = mint.token().split(".")

    for torn in (
        f"{header}.{other[1]}.{signature}",
        f"{header}.{payload}.{other[2]}",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}..{signature}",
        f"{header}.{payload}.{signature}.",
        f"{header}.{payload}.{signature}=",
        f"{header}. {payload}.{signature}",
        header,
    ):
        assert await refused(verifier, torn), torn
