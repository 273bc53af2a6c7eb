"""Auth over HTTP: a whole replica, without NATS and Valkey unless a test brings them."""

import asyncio
import json
import time
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import jwt
import nats
import pytest
import valkey.asyncio as valkey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from services.auth.tests.site import (
    EMAIL,
    PASSWORD,
    Provider,
    Site,
    running,
    site_settings,
)
from tests.support import TestDatabase

from auth.ports import KeysAway
from auth.providers.revocation import ValkeyRevokedKeys
from common.clock import SystemClock
from common.revocation import SENTINEL, key_of
from common.runner import Runner
from common.testing import eventually
from common.tokens import build_verifier

PHONE = "+6281234567890"


@pytest.mark.req("AU-01", "AU-05")
async def test_straight_line(site: Site) -> None:
    """Ask, type the code in, be somebody, renew, sign out: with NATS and Valkey away."""
    client, tokens = await site.sign_in(PHONE)
    assert site.provider.headers == ["Bearer merchant"]
    assert site.provider.received == [
        {
            "phone": "6281234567890",
            "gateway_key": "gateway-whatsapp",
            "otp": site.provider.last_code(),
        }
    ]
    assert (await client.call("GET", "/api/auth/me")).body == tokens.body["user"]
    renamed = await client.call("PATCH", "/api/auth/me", {"display_name": "  Tia\u0007 M "})
    assert renamed.body["display_name"] == "Tia M"
    body = {"refresh_token": tokens.body["refresh_token"], "device_id": "d"}
    renewed = await client.call("POST", "/api/auth/refresh", body)
    assert renewed.status == 200
    assert renewed.body["user"]["display_name"] == "Tia M"
    client.token = renewed.body["access_token"]
    logins = (await client.call("GET", "/api/auth/logins")).body["logins"]
    assert [login["is_current"] for login in logins] == [True]
    assert (await client.call("POST", "/api/auth/logout")).status == 204
    after = await client.call("GET", "/api/auth/me")
    assert (after.status, after.body["code"]) == (401, "login_revoked")


@pytest.mark.req("AU-05")
async def test_neighbours_verify_by_the_key_set(site: Site) -> None:
    """The published keys are all that another service needs to verify a token."""
    client, tokens = await site.sign_in(PHONE)
    answer = await client.call("GET", "/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert all("d" not in key for key in answer.body["keys"])
    runner = Runner()
    verifier = build_verifier(
        algorithm="ES256",
        jwks_url=f"{site.url}/.well-known/jwks.json",
        secret=None,
        clock=SystemClock(),
        runner=runner,
    )

    caller = await verifier.verify(tokens.body["access_token"])

    assert (caller.role, caller.audience) == ("customer", "app")
    assert str(caller.user_id) == tokens.body["user"]["user_id"]
    await runner.stop(budget=1)


@pytest.mark.req("AU-05")
async def test_forged_access_tokens_are_refused(site: Site, tmp_path: Path) -> None:
    """T16, T17, T19: other algorithms, other types, other times."""
    client, tokens = await site.sign_in(PHONE)
    signing = serialization.load_pem_private_key((tmp_path / "signing.pem").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    public = signing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = jwt.decode(tokens.body["access_token"], options={"verify_signature": False})
    header = jwt.get_unverified_header(tokens.body["access_token"])
    now = int(time.time())

    def signed(claims: dict[str, Any] | None = None, **headers: Any) -> str:
        kept = {k: v for k, v in {**header, **headers}.items() if k != "alg"}
        return jwt.encode(good | (claims or {}), signing, algorithm="ES256", headers=kept)

    rsa_key = rsa.generate_private_key(65537, 2048)
    bad = [
        jwt.encode(good, "", algorithm="none", headers={"typ": "at+jwt"}),
        _by_secret(good, public, header),
        jwt.encode(
            good, rsa_key, algorithm="RS256", headers={"typ": "at+jwt", "kid": header["kid"]}
        ),
        signed(typ="JWT"),
        signed(typ="refresh+jwt"),
        signed(typ="logout+jwt"),
        signed({"iat": now + 15}),
        signed({"iat": now - 600, "exp": now - 15}),
        signed({"exp": now + 3600}),
        signed({"aud": "control"}),
        signed({"aud": "control", "role": "customer"}),
        signed({"iss": "other"}),
        signed(crit=["x"]),
        tokens.body["refresh_token"],
        "a.b.c",
    ]
    for claim in ("sub", "sid", "exp", "iat", "aud", "iss", "role", "gen", "jti"):
        less = {k: v for k, v in good.items() if k != claim}
        bad.append(jwt.encode(less, signing, algorithm="ES256", headers=header))
    for token in bad:
        client.token = token
        client.address = f"10.8.0.{bad.index(token) + 1}"
        assert (await client.call("GET", "/api/auth/me")).status == 401, token
    for token in (
        signed({"iat": now + 8}),
        signed({"iat": now - 600, "exp": now - 8}),
        signed(jku="http://127.0.0.1:1/keys", x5u="http://127.0.0.1:1/x"),
    ):
        client.token = token
        assert (await client.call("GET", "/api/auth/me")).status == 200


def _by_secret(claims: dict[str, Any], secret: bytes, header: dict[str, Any]) -> str:
    """Sign with the public key as if it were an HS256 secret: pyjwt itself refuses to."""
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    def b64(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    said = (
        b64(json.dumps({**header, "alg": "HS256"}).encode())
        + "."
        + b64(json.dumps(claims).encode())
    )
    return said + "." + b64(hmac.digest(secret, said.encode(), hashlib.sha256))


@pytest.mark.req("AU-05")
async def test_hs256_deployment(
    auth_database: TestDatabase, tmp_path: Path, played: Provider
) -> None:
    """With HS256 one secret signs and verifies; the key set is empty; ES256 tokens are refused."""
    secret = "a-shared-secret-of-more-than-32-bytes"
    settings = site_settings(
        auth_database, tmp_path, played, token_algorithm="HS256", token_secret=secret
    )
    async with running(settings, played) as site:
        client, tokens = await site.sign_in(PHONE)
        assert jwt.get_unverified_header(tokens.body["access_token"])["alg"] == "HS256"
        assert (await client.call("GET", "/api/auth/me")).status == 200
        assert (await client.call("GET", "/.well-known/jwks.json")).body == {"keys": []}


@pytest.mark.req("AU-05")
async def test_roles_are_kept_apart(site: Site) -> None:
    """T24: a customer's token opens no control route, an operator's no app route."""
    client, _ = await site.sign_in(PHONE)
    operator = await site.operator()

    assert (await client.call("GET", "/api/control/mitras")).status == 403
    assert (await operator.call("GET", "/api/auth/me")).status == 403
    assert (await operator.call("GET", "/api/control/auth/me")).status == 200
    assert (await site.client().call("GET", "/api/control/audit")).status == 401


BROKEN_CODES: list[object] = [
    "",
    None,
    [],
    ["000000"],
    {"$ne": 1},
    123456,
    "0000000",
    "12345",
    "12345a",
    "\u0660\u0661\u0662\u0663\u0664\u0665",
    "9" * 60_000,
    "9" * 1_000_000,
    "000000\n",
    " 00000",
    "000000",
    "123456",
]


@pytest.mark.req("AU-01", "OP-09")
async def test_broken_codes(site: Site) -> None:
    """T33: whatever is typed in as a code is a clear refusal, never a 500, never a way in."""
    asked = await site.ask(site.client(), PHONE)
    body = {"challenge_id": asked.body["challenge_id"], "phone": PHONE, "device_id": "d"}
    for code in BROKEN_CODES:
        if code == site.provider.last_code():
            continue  # one in half a million: that is the code
        answer = await site.client().call("POST", "/api/auth/otp/verify", {**body, "code": code})
        assert answer.status in (401, 413, 422)
        assert answer.body["code"] in ("code_invalid", "invalid_body", "body_too_large")


@pytest.mark.req("AU-12")
async def test_nothing_secret_is_told_or_logged(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """T34: neither answers nor logs hold a code, a token, a phone or the provider's words."""
    client, tokens = await site.sign_in(PHONE)
    code = site.provider.last_code()
    asked = await site.ask(site.client(), "+6281200000001", device_id="e")
    site.provider.answer = "refused"
    refused = await site.ask(site.client(), "+6281200000002", device_id="e")
    wrong = await client.call("POST", "/api/auth/refresh", {"refresh_token": "x", "device_id": "d"})
    logged = "".join(capfd.readouterr())

    for answer in (asked, refused, wrong):
        shown = answer.text + json.dumps(answer.headers)
        assert site.provider.last_code() not in shown
        assert "otp-id-1" not in shown
        assert "no balance" not in shown
    assert PHONE not in tokens.text
    for secret in (
        f'"{code}"',
        f"={code}",
        PHONE,
        PHONE[1:],
        "812000000",
        "otp-id-1",
        "no balance",
        tokens.body["refresh_token"],
        tokens.body["access_token"],
        "gateway-whatsapp",
        "Bearer merchant",
    ):
        assert secret not in logged


@pytest.mark.req("AU-02")
async def test_too_early_says_when(site: Site) -> None:
    """Every 429 says when to come back, and no message goes out."""
    first = await site.ask(site.client(), PHONE)
    again = await site.ask(site.client(), PHONE, device_id="e")

    assert first.body["resend_after_seconds"] == 60
    assert first.body["code_length"] == 6
    assert (again.status, again.body["code"]) == (429, "resend_too_early")
    assert 55 <= int(again.headers["Retry-After"]) <= 60
    assert len(site.provider.received) == 1


@pytest.mark.req("AU-01")
@pytest.mark.parametrize("fault", ["refused", "error", "html", "huge"])
async def test_provider_says_no(site: Site, fault: str) -> None:
    """T42: refusals, errors and nonsense: one fallback, then 503; asking again is free."""
    site.provider.answer = fault
    refused = await site.ask(site.client(), PHONE)

    assert (refused.status, refused.body["code"]) == (503, "otp_unavailable")
    assert "Retry-After" in refused.headers
    keys = [message["gateway_key"] for message in site.provider.received]
    assert keys == ["gateway-whatsapp", "gateway-sms"]
    site.provider.answer = "ok"
    await site.sign_in(PHONE)


@pytest.mark.req("AU-01")
@pytest.mark.parametrize("fault", ["silent", "dribble", "drop"])
async def test_provider_never_answers(site: Site, fault: str) -> None:
    """T41, T42: nobody waits longer than the time-out, and nobody is sent the same code twice."""
    site.provider.answer = fault
    client = site.client()
    started = time.monotonic()
    body = {"phone": PHONE, "role": "customer", "device_id": "d"}
    asked = await client.call("POST", "/api/auth/otp/request", body, **{"Idempotency-Key": "k"})
    again = await client.call("POST", "/api/auth/otp/request", body, **{"Idempotency-Key": "k"})

    assert time.monotonic() - started < 3
    assert (asked.status, again.status) == (202, 202)
    assert asked.body["challenge_id"] == again.body["challenge_id"]
    assert len(site.provider.received) == 1
    verify = {
        "challenge_id": asked.body["challenge_id"],
        "phone": PHONE,
        "code": site.provider.last_code(),
        "device_id": "d",
    }
    assert (await client.call("POST", "/api/auth/otp/verify", verify)).status == 200


@pytest.mark.req("AU-01")
async def test_failing_provider_is_left_alone(site: Site) -> None:
    """After several failures in a row the provider is left alone for a while: 503 at once."""
    site.provider.answer = "error"
    for number in range(3):
        await site.ask(site.client(), f"+62812000000{number:02d}")
    tried = len(site.provider.received)

    for role, number in (("customer", 50), ("mitra", 51)):
        answer = await site.ask(site.client(), f"+62812000000{number}", role=role)
        assert (answer.status, answer.body["code"]) == (503, "otp_unavailable")

    assert tried == 5
    assert len(site.provider.received) == tried


@pytest.mark.req("AU-01")
async def test_refused_phones_silence_nobody(site: Site) -> None:
    """A provider that says no to many phones is well: the next phone gets its code."""
    site.provider.answer = "refused"
    for number in range(6):
        await site.ask(site.client(), f"+62812000000{number:02d}")
    site.provider.answer = "ok"

    await site.sign_in(PHONE)


@pytest.mark.req("AU-01")
async def test_time_tells_nothing_about_mitras(site: Site) -> None:
    """T32: asking for a code takes as long for a phone of no mitra, though the provider is slow."""
    operator = await site.operator()
    for number in range(8):
        body = {"phone": f"+62812000002{number:02d}", "display_name": "Sari"}
        assert (await operator.call("POST", "/api/control/mitras", body)).status == 201
    times: dict[str, list[float]] = {"02": [], "03": []}
    for number in range(8):
        for kind, seconds in times.items():
            started = time.perf_counter()
            answer = await site.ask(site.client(), f"+628120000{kind}{number:02d}", role="mitra")
            seconds.append(time.perf_counter() - started)
            assert answer.status == 202

    assert abs(median(times["02"]) - median(times["03"])) < 0.010


@pytest.mark.req("AU-11", "AU-08")
async def test_deactivated_mitra_is_out_at_once(site: Site) -> None:
    """T71: every later call of hers is refused, with NATS and Valkey away."""
    operator = await site.operator()
    body = {"phone": PHONE, "display_name": "Sari", "capacity": 5}
    made = await operator.call("POST", "/api/control/mitras", body)
    assert (made.status, made.body["phone_masked"]) == (201, "+62********890")
    mitra, _ = await site.sign_in(PHONE, role="mitra")
    assert (await mitra.call("GET", "/api/auth/me")).status == 200

    off = await operator.call(
        "PATCH", f"/api/control/mitras/{made.body['mitra_id']}", {"is_active": False}
    )

    assert off.body["is_active"] is False
    refused = await mitra.call("GET", "/api/auth/me")
    assert (refused.status, refused.body["code"]) == (401, "login_revoked")
    audit = await operator.call("GET", f"/api/control/audit?subject_id={made.body['mitra_id']}")
    assert [row["action"] for row in audit.body["items"]] == [
        "mitra_deactivated",
        "signed_in",
        "mitra_created",
    ]


@pytest.mark.req("AU-11")
async def test_mitras_are_listed_in_pages(site: Site) -> None:
    """Newest first, each once, with a cursor."""
    operator = await site.operator()
    for number in range(5):
        body = {"phone": f"+62812000000{number:02d}", "display_name": f"Sari {number}"}
        await operator.call("POST", "/api/control/mitras", body)
    seen, cursor = [], ""
    for _ in range(3):
        page = (await operator.call("GET", f"/api/control/mitras?limit=2{cursor}")).body
        seen += [mitra["display_name"] for mitra in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == [f"Sari {number}" for number in (4, 3, 2, 1, 0)]
    assert page["next_cursor"] is None


@pytest.mark.req("AU-15", "OP-09")
async def test_settings_over_http(site: Site) -> None:
    """Operators read and replace the limits; out of bounds and out of date are refused."""
    operator = await site.operator()
    shown = (await operator.call("GET", "/api/control/settings/auth")).body
    assert (shown["version"], shown["otp"]["tries"]) == (0, 5)
    wanted = {key: shown[key] for key in ("version", "otp", "lockout")}
    for section, field, value in (
        ("otp", "life_seconds", 601),
        ("otp", "tries", 0),
        ("otp", "resend_waits_seconds", []),
        ("otp", "resend_waits_seconds", [60, 30]),
        ("lockout", "first_wait_seconds", 3000),
        ("lockout", "surprise", 1),
    ):
        wrong = {**wanted, section: {**wanted[section], field: value}}
        assert (await operator.call("PUT", "/api/control/settings/auth", wrong)).status == 422
    wanted["otp"]["resend_waits_seconds"] = [7]

    changed = await operator.call("PUT", "/api/control/settings/auth", wanted)
    late = await operator.call("PUT", "/api/control/settings/auth", wanted)

    assert (changed.status, changed.body["version"]) == (200, 1)
    assert (late.status, late.body["code"], late.body["version"]) == (409, "config_conflict", 1)
    assert (await site.ask(site.client(), PHONE)).body["resend_after_seconds"] == 7


@pytest.mark.req("AU-09")
async def test_operator_over_http(site: Site) -> None:
    """Sign in, renew, list, sign out; wrong and unknown get the same words."""
    client = site.client()
    answers = [
        await client.call(
            "POST", "/api/control/auth/login", {"email": email, "password": "x", "device_id": "d"}
        )
        for email in (EMAIL, "nobody@temani.test")
    ]
    assert [answer.status for answer in answers] == [401, 401]
    shown = [{k: v for k, v in a.body.items() if k != "instance"} for a in answers]
    assert shown[0] == shown[1]
    body = {"email": EMAIL, "password": PASSWORD, "device_id": "d"}
    tokens = await client.call("POST", "/api/control/auth/login", body)
    assert 285 <= tokens.body["expires_in"] <= 300
    renew = {"refresh_token": tokens.body["refresh_token"], "device_id": "d"}
    assert (await client.call("POST", "/api/auth/refresh", renew)).status == 401
    renewed = await client.call("POST", "/api/control/auth/refresh", renew)
    client.token = renewed.body["access_token"]
    assert len((await client.call("GET", "/api/control/auth/logins")).body["logins"]) == 1
    out = await client.call("POST", "/api/control/auth/logout", {"scope": "all"})
    assert out.status == 204
    again = await client.call(
        "POST",
        "/api/control/auth/refresh",
        {**renew, "refresh_token": renewed.body["refresh_token"]},
    )
    assert (again.status, again.body["code"]) == (401, "login_revoked")


@pytest.mark.req("AU-08")
async def test_revocation_is_pushed_and_kept(
    auth_database: TestDatabase, tmp_path: Path, played: Provider, nats_url: str, valkey_url: str
) -> None:
    """A revoked login is told over NATS and stands in Valkey, beside the sentinel, with an end."""
    store = valkey.Valkey.from_url(valkey_url, decode_responses=True)
    await store.flushall()
    heard: list[list[str]] = []
    ear = await nats.connect(nats_url)

    async def hear(message: Any) -> None:
        heard.append(json.loads(message.data)["login_ids"])

    await ear.subscribe("rt.auth.login_revoked", cb=hear)
    await ear.flush()
    settings = site_settings(
        auth_database, tmp_path, played, nats_url=nats_url, valkey_url=valkey_url
    )
    async with running(settings, played) as site:
        client, tokens = await site.sign_in(PHONE)
        login = _login_of(tokens.body["access_token"])
        await eventually(lambda: store.get(SENTINEL), 5)
        await client.call("POST", "/api/auth/logout")
        await eventually(lambda: store.get(key_of(login)), 2)
        await eventually(lambda: heard == [[str(login)]], 2)
        assert 900 <= await store.ttl(key_of(login)) <= 1100

        await store.flushall()
        await eventually(lambda: store.get(SENTINEL), 3)
        assert await store.get(key_of(login)) == "1"
    await ear.close()
    await store.aclose()


@pytest.mark.req("AU-08")
async def test_keys_lost_during_a_pass_are_not_vouched_for(valkey_url: str) -> None:
    """A Valkey emptied between a pass's look and its word stays recognisable as no mirror."""
    store = valkey.Valkey.from_url(valkey_url, decode_responses=True)
    keys = ValkeyRevokedKeys(valkey_url)
    await keys.state()
    await keys.vouch()
    assert await keys.state() == "kept"

    await store.flushall()
    with pytest.raises(KeysAway):
        await keys.vouch()

    assert await store.get(SENTINEL) is None
    assert await keys.state() == "absent"
    await keys.close()
    await store.aclose()


@pytest.mark.req("AU-06")
async def test_use_anywhere_ends_the_long_grace(
    auth_database: TestDatabase, tmp_path: Path, played: Provider, nats_url: str
) -> None:
    """T04: whichever service honours a token, auth hears of it and knows the child was received."""
    settings = site_settings(auth_database, tmp_path, played, nats_url=nats_url)
    async with running(settings, played) as site:
        client, tokens = await site.sign_in(PHONE)
        body = {"refresh_token": tokens.body["refresh_token"], "device_id": "d"}
        renewed = await client.call("POST", "/api/auth/refresh", body)
        client.token = renewed.body["access_token"]
        async with auth_database.connect("auth") as connection:
            seen = "SELECT seen_generation FROM logins"
            assert await connection.fetchval(seen) == -1

            async def noticed() -> bool:
                await client.call("PATCH", "/api/auth/me", {"display_name": "Tia"})
                return bool(await connection.fetchval(seen) == 1)

            await eventually(noticed, 10)
            await connection.execute(
                "UPDATE logins SET rotated_at = rotated_at - interval '31 seconds'"
            )
        again = await client.call("POST", "/api/auth/refresh", body)

        assert (again.status, again.body["code"]) == (401, "refresh_reused")
        after = await client.call("GET", "/api/auth/me")
        assert (after.status, after.body["code"]) == (401, "login_revoked")


@pytest.mark.req("AU-08")
async def test_keys_missed_in_an_outage_are_made_good(
    auth_database: TestDatabase, tmp_path: Path, played: Provider, valkey_url: str
) -> None:
    """A login revoked while Valkey was away stands there once it is back, before the sentinel."""
    store = valkey.Valkey.from_url(valkey_url, decode_responses=True)
    await store.flushall()
    async with running(site_settings(auth_database, tmp_path, played), played) as site:
        client, tokens = await site.sign_in(PHONE)
        await client.call("POST", "/api/auth/logout")
    login = _login_of(tokens.body["access_token"])
    settings = site_settings(auth_database, tmp_path, played, valkey_url=valkey_url)
    await store.set(SENTINEL, "a Valkey process of the past")
    runner = Runner()
    from auth.app import build  # noqa: PLC0415

    await build(settings, runner)
    await eventually(lambda: store.get(key_of(login)), 5)
    await runner.stop(budget=4)
    await store.aclose()


def _login_of(token: str) -> UUID:
    return UUID(jwt.decode(token, options={"verify_signature": False})["sid"])


@pytest.mark.req("AU-06")
async def test_parallel_refreshes_over_http(site: Site) -> None:
    """T01 over HTTP: many calls at once from one app, one child, nobody signed out."""
    client, tokens = await site.sign_in(PHONE)
    body = {"refresh_token": tokens.body["refresh_token"], "device_id": "d"}

    answers = await asyncio.gather(
        *(client.call("POST", "/api/auth/refresh", body) for _ in range(8))
    )

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["refresh_token"] for answer in answers}) == 1


@pytest.mark.req("AU-06")
async def test_busy_database_is_retryable(site: Site, auth_database: TestDatabase) -> None:
    """T10: a locked row makes a refresh wait or fail with 503, never with 401; the retry works."""
    client, tokens = await site.sign_in(PHONE)
    body = {"refresh_token": tokens.body["refresh_token"], "device_id": "d"}
    async with auth_database.admin() as admin, admin.transaction():
        await admin.execute("SELECT 1 FROM auth.logins FOR UPDATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await client.call("POST", "/api/auth/refresh", body)
    again = await client.call("POST", "/api/auth/refresh", body)

    assert again.status == 200


@pytest.mark.req("OP-09")
async def test_unknown_ids_and_bodies(site: Site) -> None:
    """Wrong shapes are refused with a stable code before anything is done."""
    operator = await site.operator()
    client = site.client()
    patch = await operator.call("PATCH", f"/api/control/mitras/{uuid4()}", {"is_active": False})
    assert (patch.status, patch.body["code"]) == (404, "mitra_not_found")
    for body in (
        {},
        {"phone": "1", "role": "customer", "device_id": "d"},
        {"phone": PHONE, "role": "operator", "device_id": "d"},
        {"phone": PHONE, "role": "customer", "device_id": "d\u0000"},
        {"phone": PHONE, "role": "customer", "device_id": ""},
        {"phone": "+" * 40, "role": "customer", "device_id": "d"},
        {"phone": PHONE, "role": "customer", "device_id": "d", "channel": "pigeon"},
    ):
        assert (await client.call("POST", "/api/auth/otp/request", body)).status == 422
    assert site.provider.received == []


@pytest.mark.req("AU-12")
async def test_names_need_a_letter(site: Site) -> None:
    """A name of nothing but blanks and control characters is refused."""
    client, _ = await site.sign_in(PHONE)
    for name in ("", "   ", "\u200b\u0007", "x" * 81, "Tia\u0000"):
        assert (await client.call("PATCH", "/api/auth/me", {"display_name": name})).status == 422
