"""Free TCP ports on the loopback interface."""

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range (32768 on Linux), so no outgoing connection takes one between
# choosing and listening, and low enough for Valkey's cluster bus (port + 10000 must exist).
_FIRST, _LAST = 20_000, 32_000
_handed_out: set[int] = set()


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free port that this process has not handed out before."""
    for _ in range(1_000):
        port = random.randrange(_FIRST, _LAST)
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def prefer(port: int) -> int:
    """Return the wanted port if it is free and not handed out before, else another free one."""
    if port not in _handed_out and is_free(port):
        _handed_out.add(port)
        return port
    return free_port()
