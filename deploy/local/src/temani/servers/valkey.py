"""A real Valkey 9: one node with cluster mode on, so that every key needs its hash tag."""

import asyncio
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from temani import binaries, ports
from temani.ports import LOOPBACK
from temani.process import Process
from temani.servers.base import Server

_SLOTS = 16_384
_HIGHEST_PORT = 55_535  # the cluster bus would listen at port + 10000


class Valkey(Server):
    """Valkey on the loopback interface; it forgets everything when it ends, as a mirror may.

    Without cluster mode it answers at once, where a cluster of one takes 2 s to call itself "ok".
    """

    name: ClassVar[str] = "valkey"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        bus_port: int | None = None,
        log: Path | None = None,
        max_memory: str = "256mb",
        cluster: bool = True,
    ) -> None:
        super().__init__(folder, port=port, log=log)
        if self.port > _HIGHEST_PORT:
            raise ValueError(f"Valkey's port must be at most {_HIGHEST_PORT}")
        self._bus_port = ports.free_port() if bus_port is None else bus_port
        self._max_memory = max_memory
        self._cluster = cluster

    @override
    @property
    def url(self) -> str:
        return f"valkey://{LOOPBACK}:{self.port}/0"

    @override
    async def _prepare(self) -> None:
        # A node alone remembers nothing worth keeping, and a torn file would keep it from starting.
        (self.folder / "nodes.conf").unlink(missing_ok=True)

    @override
    def _program(self) -> Process:
        settings = {
            "port": str(self.port),
            "bind": LOOPBACK,
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory": self._max_memory,
            "maxmemory-policy": "noeviction",
        }
        if self._cluster:
            settings |= {
                "cluster-enabled": "yes",
                "cluster-port": str(self._bus_port),
                "cluster-config-file": "nodes.conf",
            }
        command = [str(binaries.valkey_server())]
        for name, value in settings.items():
            command += [f"--{name}", value]
        return Process(self.name, command, log=self.log, cwd=self.folder)

    @override
    async def _answers(self) -> bool:
        if not self._cluster:
            return await self._ask("PING") == "+PONG\r\n"
        # The server itself waits 2 s after its start before it calls a cluster of one "ok".
        info = await self._ask("CLUSTER INFO")
        if f"cluster_slots_assigned:{_SLOTS}" not in info:
            await self._ask(f"CLUSTER ADDSLOTSRANGE 0 {_SLOTS - 1}")
        return "cluster_state:ok" in info

    async def _ask(self, command: str) -> str:
        """Send one inline command; returns the raw reply."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(f"{command}\r\n".encode())
            line = await reader.readuntil(b"\r\n")
            if not line.startswith(b"$"):
                return line.decode()
            return (await reader.readexactly(int(line[1:]))).decode()
        finally:
            writer.close()
            await writer.wait_closed()
