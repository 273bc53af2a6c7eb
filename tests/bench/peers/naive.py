"""The first form one would write: verify each token anew, then two awaits on valkey-py."""

import sys
import time
from pathlib import Path

import jwt
import uvloop
import valkey.asyncio as valkey
from aiohttp import web
from tests.bench.peers.aiohttp_floor import ANSWER, listen


async def main(port: int, valkey_url: str, key: bytes) -> None:
    """Serve until the process is ended."""
    client = valkey.Valkey.from_url(valkey_url, max_connections=128)

    async def beat(request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        mitra = jwt.decode(token, key, algorithms=["ES256"], audience="app")["sub"]
        if await client.sismember("mitras:deactivated", mitra):
            return web.Response(status=403)
        await client.set(f"mitra:heartbeat:{mitra}", int(time.time() * 1000), ex=120)
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/mitra/status/heartbeat", beat)
    await listen(app, port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes()))
