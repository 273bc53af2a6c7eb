"""aiohttp with nothing behind it: what its request, or its socket, costs by itself."""

import asyncio
import sys

import uvloop
from aiohttp import web

ANSWER = b'{"is_online":true,"next_beat_seconds":20.0,"server_time":"2026-01-01T00:00:00.000000Z"}'
ACK = '{"type":"beat_ack","id":null,"data":{"is_online":true}}'


async def answer(_request: web.Request) -> web.Response:
    """Answer a beat without looking at it."""
    return web.Response(body=ANSWER, content_type="application/json")


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Acknowledge each frame without looking at it."""
    websocket = web.WebSocketResponse(compress=False)
    await websocket.prepare(request)
    async for _ in websocket:
        await websocket.send_str(ACK)
    return websocket


async def main(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_post("/api/mitra/status/heartbeat", answer)
    app.router.add_get("/ws", echo)
    await listen(app, port)


async def listen(app: web.Application, port: int) -> None:
    """Serve an application on loopback until the process is ended."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
