"""The people of each story, and a session that is long enough for it."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.e2e.person import Person, Refused, Where
from tests.e2e.stack import Stack
from tests.e2e.story import Cast

TIERS = "/api/control/settings/chat/tiers"


@pytest.fixture
async def cast(stack: Stack) -> AsyncIterator[Cast]:
    """A new customer, a new mitra of capacity 1, and the operator who made her."""
    where = Where(stack.gateway, stack.devproviders)
    async with contextlib.AsyncExitStack() as doors:
        customer, mitra, operator = [
            await doors.enter_async_context(Person.at(where)) for _ in range(3)
        ]
        await operator.sign_in_by_password(stack.operator_email, stack.operator_password)
        phone = stack.new_phone()
        await operator.call(
            "POST",
            "/api/control/mitras",
            {"phone": phone, "display_name": "Sari", "capacity": 1},
        )
        await mitra.sign_in(phone, "mitra")
        await customer.sign_in(stack.new_phone(), "customer")
        yield Cast(customer, mitra, operator)
        with contextlib.suppress(Refused):
            await mitra.call("POST", "/api/mitra/status/offline")


@pytest.fixture
async def long_tier(cast: Cast) -> AsyncIterator[str]:
    """A session long enough for whatever a story does in it; nobody else is offered it."""
    tier = {"name": "End to end", "duration_seconds": 20, "price_idr": 60_000, "is_offered": True}
    await cast.operator.call("PUT", f"{TIERS}/end-to-end", tier)
    yield "end-to-end"
    await cast.operator.call("PUT", f"{TIERS}/end-to-end", {**tier, "is_offered": False})
