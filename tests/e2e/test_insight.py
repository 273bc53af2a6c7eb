"""What a mitra and an operator can find out, through the gateway, with every service real."""

import asyncio
import contextlib
from typing import Any

import pytest
import valkey.asyncio as valkey_client
from tests.e2e.person import Json, Person, Refused
from tests.e2e.stack import Stack
from tests.e2e.story import (
    PAIRING,
    Cast,
    beating,
    eventually,
    go_online,
    matched,
)

pytestmark = pytest.mark.e2e

CONTROL = "/api/control/availability"


def facts(answer: Json) -> dict[str, Any]:
    """Return the facts of a status by their names."""
    return {fact["fact"]: fact for fact in answer["facts"]}


@pytest.mark.req("AV-13")
async def test_why_no_requests(stack: Stack, cast: Cast) -> None:
    """Offline, then full, then switched off: each says since when, and what helps, to both."""
    mitra, operator = cast.mitra, cast.operator
    hers = f"{CONTROL}/mitras/{mitra.user['user_id']}"
    found = facts(await mitra.call("GET", "/api/mitra/status"))["online"]
    assert (found["ok"], found["reason"]) == (False, None)
    assert "Go online" in found["advice"]

    async with mitra.socket(PAIRING) as socket, beating(mitra, socket):
        await go_online(mitra)
        seen = await eventually(operator, hers, lambda s: s["mirror"]["agrees"])
        assert (seen["source"], seen["display_name"], seen["reasons"]) == ("mirror", "Sari", [])
        assert 0 <= facts(seen)["active"]["age_seconds"] < 300

        await matched(cast, stack.tier(seconds=8))
        full = facts(await eventually(mitra, "/api/mitra/status", lambda s: not s["available"]))
        assert (full["load"]["ok"], full["load"]["load"]) == (False, 1)
        assert 0 <= full["load"]["age_seconds"] < 60
        assert "1 of 1" in full["load"]["advice"]

        body = {"is_active": False, "reason": "a test"}
        await operator.call("PATCH", f"/api/control/mitras/{mitra.user['user_id']}", body)
        off = await eventually(operator, hers, lambda s: "deactivated" in s["reasons"])
        assert 0 <= facts(off)["active"]["age_seconds"] < 60
        gone = await eventually(operator, hers, lambda s: not s["is_online"])
        assert facts(gone)["online"]["reason"] in ("deactivated", "logout")


@pytest.mark.req("AV-14")
async def test_how_long_online(cast: Cast) -> None:
    """Two times online, each with how it ended; she sees what the operator sees."""
    mitra, operator = cast.mitra, cast.operator
    await mitra.call("POST", "/api/mitra/status/online")
    await mitra.call("POST", "/api/mitra/status/offline")
    await mitra.call("POST", "/api/mitra/status/online")
    await operator.call("POST", f"{CONTROL}/mitras/{mitra.user['user_id']}/force-offline")

    told = await mitra.call("GET", "/api/mitra/status/online-time")
    assert [one["reason"] for one in told["items"]] == ["self", "operator"]
    assert told["seconds"] > 0
    window = f"from={told['starts_at']}&to={told['ends_at']}"
    theirs = f"{CONTROL}/mitras/{mitra.user['user_id']}/online-time?{window}"
    assert await operator.call("GET", theirs) == told
    for person in (mitra, cast.customer):
        with pytest.raises(Refused) as refused:
            await person.call("GET", theirs)
        assert refused.value.status == 403


@pytest.mark.req("AV-15")
async def test_planted_drift_is_shown_and_mended(stack: Stack, cast: Cast) -> None:
    """Somebody meddles with Valkey: healed within a turn, listed with its cause; a reseed tells."""
    mitra, operator = cast.mitra, cast.operator
    async with mitra.socket(PAIRING) as socket, beating(mitra, socket):
        await go_online(mitra)
        rows = await _meddled(stack, operator, mitra.user["user_id"])
        assert (rows[0]["fact"], rows[0]["cause"], rows[0]["mirror"]) == ("load", "wrong", "1/1")
        assert rows[0]["display_name"] == "Sari"
        await eventually(mitra, "/api/mitra/status", lambda s: s["available"])

    await _reseeded(operator)
    await eventually(
        operator,
        f"{CONTROL}/summary",
        lambda s: (s["mirror"]["state"], s["source"]) == ("ok", "mirror"),
    )


async def _meddled(stack: Stack, operator: Person, mitra_id: str) -> list[Json]:
    """Write a wrong load, again and again, for a late word may mend it; return how it is listed."""

    def listed(answer: Json) -> list[Json]:
        return [row for row in answer["recent"]["items"] if row["mitra_id"] == mitra_id]

    async with (
        valkey_client.Valkey.from_url(stack.state.urls["valkey"]) as raw,
        asyncio.timeout(60),
    ):
        while True:
            await raw.hset("{mitras}:load", mitra_id, "1/1")
            with contextlib.suppress(AssertionError):
                return listed(await eventually(operator, f"{CONTROL}/drift", listed, within=6))


async def _reseeded(operator: Person) -> None:
    ordered = await operator.call("POST", f"{CONTROL}/reseed")
    path = f"{CONTROL}/reseeds/{ordered['reseed_id']}"
    done = await eventually(operator, path, lambda r: r["state"] in ("done", "failed"), within=60)
    assert (done["state"], done["mitras"]) == ("done", done["total"])
