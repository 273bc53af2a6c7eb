"""Ended logins, with and without the push and the keys in Valkey."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import nats
import pytest
import valkey.asyncio as valkey
from services.auth.tests.site import (
    Provider,
    running,
    site_settings,
)
from tests.support import TestDatabase

from auth.ports import KeysAway
from auth.providers.revocation import ValkeyRevokedKeys
from common.revocation import SUBJECT
from common.revoked_keys import SENTINEL, key_of
from common.runner import Runner
from common.testing import eventually

PHONE = "+6281234567890"


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

    await ear.subscribe(SUBJECT, cb=hear)
    # Whoever hears itself is subscribed; the PING of flush() may overtake a subscription.
    await ear.publish(SUBJECT, b'{"login_ids": []}')
    await eventually(lambda: heard == [[]])
    heard.clear()
    settings = site_settings(
        auth_database, tmp_path, played, nats_url=nats_url, valkey_url=valkey_url
    )
    async with running(settings, played) as site:
        client, tokens = await site.sign_in(PHONE)
        login = _login_of(tokens.body["access_token"])
        await eventually(lambda: store.get(SENTINEL))
        await client.call("POST", "/api/auth/logout")
        await eventually(lambda: store.get(key_of(login)))
        await eventually(lambda: heard == [[str(login)]])
        assert 900 <= await store.ttl(key_of(login)) <= 1100

        await store.flushall()
        await eventually(lambda: store.get(SENTINEL))
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

            await eventually(noticed)
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
    await eventually(lambda: store.get(key_of(login)))
    await runner.stop(budget=20)
    await store.aclose()


def _login_of(token: str) -> UUID:
    return UUID(jwt.decode(token, options={"verify_signature": False})["sid"])
