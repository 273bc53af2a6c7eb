"""Codes over HTTP: what is told, and what becomes of a provider that fails."""

import json

import pytest
from services.auth.tests.site import Site

PHONE = "+6281234567890"

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
    assert 1 <= int(again.headers["Retry-After"]) <= 60
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
async def test_provider_never_answers(impatient: Site, fault: str) -> None:
    """T41, T42: nobody waits longer than the time-out, and nobody is sent the same code twice."""
    site = impatient
    site.provider.answer = fault
    client = site.client()
    body = {"phone": PHONE, "role": "customer", "device_id": "d"}
    asked = await client.call("POST", "/api/auth/otp/request", body, **{"Idempotency-Key": "k"})
    again = await client.call("POST", "/api/auth/otp/request", body, **{"Idempotency-Key": "k"})

    assert site.provider.ended == 0, "nobody waited until the provider was done"
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
