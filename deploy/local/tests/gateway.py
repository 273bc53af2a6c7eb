"""A gateway that a command of the control center finds; what lies behind it a test plays."""

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from temani import running


@contextlib.asynccontextmanager
async def serving(
    routes: list[web.RouteDef], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Serve these routes, and let anybody sign in."""
    app = web.Application()
    app.add_routes([web.post("/api/control/auth/login", _let_in), *routes])
    async with TestServer(app) as server:
        stack = SimpleNamespace(
            addresses=SimpleNamespace(gateway_url=str(server.make_url("/"))),
            keys=SimpleNamespace(operator_email="o@x", operator_password="p"),
        )
        monkeypatch.setattr(running, "find", lambda: stack)
        yield


async def _let_in(_: web.Request) -> web.Response:
    return web.json_response({"access_token": "t"})
