"""Beats over picows sockets (Cython) with the product's own checks; the echo is its floor.

It has no state frame, no ids in answers, no queue for slow readers and no token refresh.
"""

import gc
import json
import logging
import sys

import picows
import uvloop
from tests.bench.lanes.gate import Gate, Known, Refused, open_gate

from common.runner import Runner
from mirror import BeatOutcome

_YES = b'{"type":"beat_ack","id":null,"data":{"is_online":true}}'
_NO = b'{"type":"beat_ack","id":null,"data":{"is_online":false}}'
_log = logging.getLogger("lane")
_TEXT = picows.WSMsgType.TEXT


class Beating(picows.WSListener):  # type: ignore[misc] # no types in the extension
    """One socket; whose it is was settled when it opened."""

    def __init__(self, gate: Gate, runner: Runner, token: str, *, echo: bool) -> None:
        super().__init__()
        self._gate = gate
        self._runner = runner
        self._token = token
        self._echo = echo
        self._known: Known | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Verify the token beside the connection."""
        self._transport = transport
        self._runner.background(self._admit(), name="lane-admit")

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Take a beat; anything else ends the socket."""
        if frame.msg_type != _TEXT or self._known is None:
            _log.warning("closed by a frame of type %s", frame.msg_type)
            transport.disconnect()
        elif self._echo:
            transport.send(_TEXT, _YES)
        elif self._gate.is_revoked(self._known.login_id) or not _is_beat(frame):
            transport.disconnect()
        else:
            self._gate.beat(self._known.mitra_id, self._done)

    async def _admit(self) -> None:
        try:
            self._known = await self._gate.admit(self._token)
        except Refused as error:
            _log.warning("refused with %s", error)
            self._transport.disconnect()

    def _done(self, outcome: BeatOutcome | None) -> None:
        if outcome is BeatOutcome.DEACTIVATED:
            self._transport.disconnect()
        else:
            self._transport.send(_TEXT, _YES if outcome is BeatOutcome.RECORDED else _NO)


def _is_beat(frame: picows.WSFrame) -> bool:
    return bool(json.loads(frame.get_payload_as_memoryview().tobytes()).get("type") == "beat")


async def main(*, echo: bool) -> None:
    """Serve until the process is ended."""
    runner = Runner()
    gate, settings = await open_gate(runner)

    def welcome(request: picows.WSUpgradeRequest) -> Beating:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Beating(gate, runner, token, echo=echo)

    server = await picows.ws_create_server(
        welcome, settings.http_host, settings.http_port, backlog=1024, read_buffer_init_size=1024
    )
    gc.collect()
    gc.freeze()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(echo=sys.argv[1:] == ["echo"]))
