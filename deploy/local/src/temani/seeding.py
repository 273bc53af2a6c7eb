"""Seed people and prices through the real HTTP routes, as the operator. Safe to repeat."""

import asyncio
import json
from typing import Any

import aiohttp

from temani.keys import Keys
from temani.profiles import Mitra, Profile, Tier

_TRIES = 30
_AT_ONCE = 4
_TIERS = "/api/control/settings/chat/tiers"


class SeedFailed(Exception):
    """A route refused; the message says which and why."""


async def run(gateway_url: str, profile: Profile, keys: Keys) -> dict[str, int]:
    """Offer the profile's tiers and create its mitras; returns how many mitras were new."""
    async with aiohttp.ClientSession(
        base_url=gateway_url, timeout=aiohttp.ClientTimeout(total=20)
    ) as http:
        token = await operator_token(http, keys.operator_email, keys.operator_password)
        http.headers["Authorization"] = f"Bearer {token}"
        offered = await _current_tiers(http)
        for tier in profile.tiers:
            await _offer(http, tier, offered.get(tier.tier_id, {}))
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(mitra: Mitra) -> bool:
            async with places:
                return await _create(http, mitra)

        new = await asyncio.gather(*(one(mitra) for mitra in profile.mitras))
    return {"tiers": len(profile.tiers), "mitras": len(new), "new_mitras": sum(new)}


async def operator_token(http: aiohttp.ClientSession, email: str, password: str) -> str:
    """Log in as the operator and return the access token."""
    body = {"email": email, "password": password, "device_id": "temani-launcher"}
    _, answer = await call(http, "POST", "/api/control/auth/login", body, accept={200})
    return str(answer["access_token"])


async def call(
    http: aiohttp.ClientSession, method: str, path: str, body: object, *, accept: set[int]
) -> tuple[int, dict[str, Any]]:
    """Call a route; a busy or starting service (429, 503) is asked again when it says so."""
    for _ in range(_TRIES):
        async with http.request(method, path, json=body) as answer:
            text = await answer.text()
            if answer.status in accept:
                return answer.status, json.loads(text) if text else {}
            if answer.status not in {429, 503}:
                raise SeedFailed(f"{method} {path}: {answer.status} {text}")
            await asyncio.sleep(min(float(answer.headers.get("Retry-After", "1")), 5.0))
    raise SeedFailed(f"{method} {path}: still {answer.status} after {_TRIES} tries: {text}")


async def _current_tiers(http: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    _, answer = await call(http, "GET", _TIERS, None, accept={200})
    return {tier["tier_id"]: tier for tier in answer["tiers"]}


async def _offer(http: aiohttp.ClientSession, tier: Tier, now: dict[str, Any]) -> None:
    body = {
        "name": tier.name,
        "duration_seconds": tier.duration_seconds,
        "price_idr": tier.price_idr,
        "is_offered": True,
    }
    # Each PUT is a new version for ever: one that says the same would only be noise.
    if any(now.get(name) != value for name, value in body.items()):
        await call(http, "PUT", f"{_TIERS}/{tier.tier_id}", body, accept={200, 201})


async def _create(http: aiohttp.ClientSession, mitra: Mitra) -> bool:
    body = {"phone": mitra.phone, "display_name": mitra.display_name}
    status, _ = await call(http, "POST", "/api/control/mitras", body, accept={201, 409})
    return status == 201
