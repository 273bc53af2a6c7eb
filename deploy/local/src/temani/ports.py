"""Free TCP ports on the loopback interface."""

import random
import socket
import sys

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range (32768 on Linux), so no outgoing connection takes one between
# choosing and listening, and low enough for Valkey's cluster bus (port + 10000 must exist).
_FIRST, _LAST = 20_000, 32_000
_ours: set[int] = set()


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
    """Return a free port that no process of Temani here was given; it stays this process's."""
    for _ in range(1_000):
        port = random.randrange(_FIRST, _LAST)
        if is_free(port) and _claim(port):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def prefer(port: int) -> int:
    """Return the wanted port if it is free and nobody was given it, else another free one."""
    return port if is_free(port) and _claim(port) else free_port()


def _claim(port: int) -> bool:
    """Make the port ours until this process ends; False when a process of Temani has it.

    Between choosing and listening, stacks that start side by side would take each other's. The
    kernel keeps these names apart as it does ports, and forgets them with their process.
    """
    if port in _ours:
        return False
    if sys.platform == "linux":
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0temani-port-{port}")
        except OSError:
            name.close()
            return False
        name.detach()
    _ours.add(port)
    return True
