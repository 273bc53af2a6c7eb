"""A beat over HTTP without a framework: httptools on a bare protocol, the product's own checks.

It has no request ids, metrics, problem documents, body limits or idle timeouts: the least that a
real one would add on top. One request at a time on a connection; a pipelined one ends it.
"""

import asyncio
from datetime import UTC, datetime
from typing import cast

import httptools
import uvloop
from tests.bench.lanes.gate import Gate, Refused, open_gate

from common.runner import Runner
from mirror import BeatOutcome

_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_PATH = b"/api/mitra/status/heartbeat"


class Edge(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_busy", "_gate", "_parser", "_runner", "_token", "_transport", "_url")

    def __init__(self, gate: Gate, runner: Runner) -> None:
        self._gate = gate
        self._runner = runner
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._token = self._url = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # A cast, not an assertion: uvloop's transports are no subclasses.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; whatever is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._token = self._url = b""

    def on_url(self, url: bytes) -> None:
        """Note the path."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the token."""
        if len(name) == 13 and name.lower() == b"authorization":
            self._token = value

    def on_message_complete(self) -> None:
        """Take the beat: at once when the token is known, else after asking."""
        if self._busy:
            self._end()
            return
        self._busy = True
        if self._url != _PATH:
            self._say(404)
            return
        token = self._token[7:].decode("latin-1")
        try:
            known = self._gate.known(token)
        except Refused as error:
            self._say(error.status)
            return
        if known is None:
            self._runner.background(self._admit(token), name="lane-admit")
        else:
            self._gate.beat(known.mitra_id, self._done)

    async def _admit(self, token: str) -> None:
        try:
            known = await self._gate.admit(token)
        except Refused as error:
            self._say(error.status)
        else:
            self._gate.beat(known.mitra_id, self._done)

    def _done(self, outcome: BeatOutcome | None) -> None:
        if outcome is BeatOutcome.DEACTIVATED:
            self._say(403)
            return
        is_online = b"true" if outcome is BeatOutcome.RECORDED else b"false"
        body = b'{"is_online":%b,"next_beat_seconds":20.0,"server_time":"%b"}' % (
            is_online,
            datetime.now(UTC).isoformat().encode(),
        )
        self._write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    def _say(self, status: int) -> None:
        line = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: 0\r\n\r\n"
        self._write(line.encode())

    def _write(self, data: bytes) -> None:
        self._busy = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def main() -> None:
    """Serve until the process is ended."""
    runner = Runner()
    gate, settings = await open_gate(runner)
    server = await asyncio.get_running_loop().create_server(
        lambda: Edge(gate, runner), settings.http_host, settings.http_port, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
