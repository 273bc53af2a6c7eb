"""An application served as the product serves it: short ways, lean sockets, own problem texts."""

from typing import Any

from aiohttp.test_utils import TestServer
from aiohttp.web import Application, BaseRunner

from common.web import EdgeRunner


class EdgeTestServer(TestServer):
    """aiohttp's test server on our runner."""

    app: Application

    async def _make_runner(self, **options: Any) -> BaseRunner:
        return EdgeRunner(self.app, **options)
