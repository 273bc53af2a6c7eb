"""The load: a closed loop of plain sockets in a process of its own; `python -m tests.bench.load`.

Two halves of the connections take turns: while the program under test answers one half, the other
is being asked, so it always has work and meets it in handfuls, as it does in the field. Commands
come on stdin (`go COUNT`, `pace RATE SECONDS`), one JSON answer each goes to stdout.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Protocol

_TIMEOUT_SECONDS = 20.0
_AT_ONCE = 25
_PONG = 0x8A
_CLOSE, _PING, _TEXT = 0x88, 0x89, 0x81


class Talk(Protocol):
    """How one kind of connection asks and hears."""

    def ask(self) -> None:
        """Send one request."""

    def hear(self) -> bool:
        """Read one answer; False when it is not the good one."""


class Http:
    """One kept-alive connection; each request is the next of a shared line of tokens."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._socket = _connect(port)
        self._requests = requests
        self._usual = 0
        self.complaint = b""

    def ask(self) -> None:
        """Send the next request."""
        self._socket.sendall(next(self._requests))

    def hear(self) -> bool:
        """Read one response."""
        data = self._socket.recv(8192)
        if len(data) != self._usual:
            data = self._whole(data)
            self._usual = len(data)
        if data.startswith(b"HTTP/1.1 200"):
            return True
        self.complaint = data
        return False

    def _whole(self, data: bytes) -> bytes:
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, _ = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(data) < len(head) + 4 + length:
            data += self._more()
        return data

    def _more(self) -> bytes:
        more = self._socket.recv(8192)
        if not more:
            raise ConnectionError("closed by the server")
        return more


class Socket:
    """One WebSocket that sends beats; whatever else the server says is heard and passed over."""

    def __init__(self, port: int, path: str, token: str, beat: bytes, ack: bytes) -> None:
        self.socket = _connect(port)
        # Without a beat it pings: the answer needs the server's loop and nothing behind it.
        self._beat = _masked(_TEXT, beat) if beat else _masked(_PING, b"lag")
        self._ack = ack if beat else b"lag"
        self._rest = b""
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )

    def welcome(self) -> None:
        """Read the answer to the handshake; what follows it in the same breath is kept."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode("latin-1"))

    def ask(self) -> None:
        """Send one beat."""
        self.socket.sendall(self._beat)

    def hear(self) -> bool:
        """Read on until the acknowledgement of the beat."""
        data = self.socket.recv(65536)
        if not self._rest and len(data) > 2 and data[0] == _TEXT and len(data) == data[1] + 2:
            return self._ack in data or self.hear()
        self._rest += data
        while not self.drain():
            self._rest += self._more()
        return True

    def take(self) -> bool:
        """Read what is there without waiting for more; whether an acknowledgement was in it."""
        self._rest += self._more()
        return self.drain()

    def drain(self) -> bool:
        """Pass over whole frames, answering pings; whether an acknowledgement was among them."""
        found = False
        while (size := _frame_size(self._rest)) is not None:
            frame, self._rest = self._rest[:size], self._rest[size:]
            if frame[0] == _PING:
                self.socket.sendall(_masked(_PONG, frame[2:]))
            elif frame[0] == _CLOSE:
                raise ConnectionError(f"closed with {int.from_bytes(frame[2:4], 'big')}")
            found = found or self._ack in frame
        return found

    def _more(self) -> bytes:
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("closed by the server")
        return more


class Quiet:
    """Sockets of which nothing is asked: what the server says is heard, pings are answered."""

    def __init__(self, sockets: Iterable[Socket] = ()) -> None:
        self.poll = select.epoll()
        self.acknowledged: list[int] = []
        self._sockets: dict[int, Socket] = {}
        for one in sockets:
            self.add(one)

    def add(self, one: Socket) -> None:
        """Listen to one more."""
        self._sockets[one.socket.fileno()] = one
        self.poll.register(one.socket, select.EPOLLIN)

    def listen(self, seconds: float | None) -> list[int]:
        """Hear what comes within a time; returns the descriptors that spoke."""
        ready = [descriptor for descriptor, _ in self.poll.poll(seconds)]
        self.acknowledged = [
            descriptor
            for descriptor in ready
            if descriptor in self._sockets and self._sockets[descriptor].take()
        ]
        return ready

    def close(self) -> None:
        """Stop listening; the sockets stay open."""
        self.poll.close()


def main() -> None:
    """Open the connections, say so, then do what stdin says."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    started = time.perf_counter()
    talks = _https(plan) if plan["kind"] == "http" else _sockets(plan)
    _say({"opened": len(talks), "seconds": time.perf_counter() - started})
    sockets = [talk for talk in talks if isinstance(talk, Socket)]
    while (line := _command(sockets)) != "":
        verb, *numbers = line.split()
        if verb == "go":
            _say(_closed_loop(talks, int(numbers[0])))
        else:
            _say(_paced(sockets, rate=float(numbers[0]), seconds=float(numbers[1])))


def _https(plan: dict[str, object]) -> list[Talk]:
    requests = cycle(
        f"POST {plan['path']} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
        for token in _tokens(plan)
    )
    return [Http(int(str(plan["port"])), requests) for _ in range(int(str(plan["connections"])))]


def _sockets(plan: dict[str, object]) -> list[Talk]:
    """Open sockets, few at a time: a server's line of waiting strangers is bounded."""
    tokens, opened = _tokens(plan)[: int(str(plan["connections"]))], []
    port, path = int(str(plan["port"])), str(plan["path"])
    patience = float(str(plan.get("patience", _TIMEOUT_SECONDS)))
    beat, ack = str(plan["beat"]).encode(), str(plan["ack"]).encode()
    quiet = Quiet()
    for start in range(0, len(tokens), _AT_ONCE):
        some = [Socket(port, path, token, beat, ack) for token in tokens[start : start + _AT_ONCE]]
        for one in some:
            one.welcome()
            one.socket.settimeout(patience)
            quiet.add(one)
        quiet.listen(0)
        opened += some
    quiet.close()
    return list(opened)


def _command(sockets: list[Socket]) -> str:
    """Wait for the next command, and answer pings meanwhile; empty when there is none any more."""
    quiet = Quiet(sockets)
    quiet.poll.register(sys.stdin, select.EPOLLIN)
    while sys.stdin.fileno() not in quiet.listen(None):
        pass
    quiet.close()
    return sys.stdin.readline()


def _closed_loop(talks: list[Talk], count: int) -> dict[str, object]:
    """Ask `count` times in all, and never more than once at a time on one connection."""
    half = len(talks) // 2
    halves = (talks[:half], talks[half:])
    turns = max(1, count // len(talks))
    bad = 0
    started = time.perf_counter()
    for talk in talks:
        talk.ask()
    for turn in range(turns):
        for part in halves:
            for talk in part:
                bad += not talk.hear()
            if turn < turns - 1:
                for talk in part:
                    talk.ask()
    seconds = time.perf_counter() - started
    complaint = next((said for talk in talks if (said := getattr(talk, "complaint", b""))), b"")
    return {
        "count": turns * len(talks),
        "bad": bad,
        "seconds": seconds,
        "complaint": complaint.decode("latin-1"),
    }


def _paced(sockets: list[Socket], *, rate: float, seconds: float) -> dict[str, object]:
    """Send beats evenly over all sockets; returns how long each acknowledgement took, in ms."""
    quiet = Quiet(sockets)
    asked: dict[int, float] = {}
    waits: list[float] = []
    line = cycle(sockets)
    started = due = time.perf_counter()
    while (now := time.perf_counter()) < started + seconds:
        while due <= now:
            one = next(line)
            asked.setdefault(one.socket.fileno(), now)
            one.ask()
            due += 1 / rate
        quiet.listen(max(0.0, due - time.perf_counter()))
        heard = time.perf_counter()
        waits += [(heard - asked.pop(one)) * 1000 for one in quiet.acknowledged if one in asked]
    quiet.close()
    return {"waits_ms": waits, "unanswered": len(asked)}


def _tokens(plan: dict[str, object]) -> list[str]:
    return Path(str(plan["tokens"])).read_text(encoding="ascii").split()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _masked(kind: int, payload: bytes) -> bytes:
    """Return a client's frame; a mask of zeros is a mask, and leaves the payload as it is."""
    return bytes((kind, 0x80 | len(payload))) + bytes(4) + payload


def _frame_size(data: bytes) -> int | None:
    """Return the size of the first frame, None while it is not whole. Servers do not mask."""
    if len(data) < 2:
        return None
    short = data[1]
    head = 2 if short < 126 else 4 if short == 126 else 10
    if len(data) < head:
        return None
    size = head + (short if head == 2 else int.from_bytes(data[2:head], "big"))
    return size if len(data) >= size else None


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
