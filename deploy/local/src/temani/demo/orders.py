"""The payment provider's own list of orders."""

from typing import Any

import aiohttp

ORDERS_SECONDS = 10.0


async def fetch_orders(providers_url: str) -> list[dict[str, Any]]:
    """Ask the provider what was captured and refunded."""
    timeout = aiohttp.ClientTimeout(total=ORDERS_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as web,
        web.get(f"{providers_url}/dev/orders.json?limit=0") as answer,
    ):
        answer.raise_for_status()
        body = await answer.json()
    return list(body["orders"])
