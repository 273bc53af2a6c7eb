"""The control center's routes, asked as this stack's own operator."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp

from temani import running
from temani.commands import output
from temani.seeding import operator_token


@contextlib.asynccontextmanager
async def as_operator(stack: running.Running) -> AsyncIterator[aiohttp.ClientSession]:
    """Sign in through the gateway; raises Failed when nobody answers there."""
    async with aiohttp.ClientSession(base_url=stack.addresses.gateway_url) as http:
        try:
            keys = stack.keys
            token = await operator_token(http, keys.operator_email, keys.operator_password)
            http.headers["Authorization"] = f"Bearer {token}"
            yield http
        except aiohttp.ClientConnectionError as error:
            raise output.Failed(
                f"the gateway does not answer ({error}); `temani status` shows what runs"
            ) from None
