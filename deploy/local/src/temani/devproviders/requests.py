"""What both providers do with a request."""

import asyncio
import json
from typing import Any

from aiohttp import web

from temani.devproviders.faults import Faults, Provider


async def misbehave(faults: Faults, provider: Provider) -> None:
    """Be as slow as ordered, then fail if ordered."""
    if slow := faults.take(provider, "slow"):
        await asyncio.sleep(slow.seconds)
    if faults.take(provider, "error"):
        raise web.HTTPInternalServerError(text="Internal Server Error")


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object."""
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return body
