"""A real NATS server with JetStream."""

import asyncio
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from temani import binaries, ports
from temani.ports import LOOPBACK
from temani.process import Process
from temani.servers.base import Server

_CONFIGURATION = """\
server_name: temani-local
listen: "{host}:{port}"
http: "{host}:{monitor_port}"
jetstream {{
  store_dir: "{store}"
  # Acknowledged means on disk; the default would be up to two minutes later.
  sync_interval: {sync}
  # Below the size of the disk: a full store then says so, where a full disk would hang publishers.
  max_file_store: {max_file}
  max_memory_store: 67108864
}}
"""


class Nats(Server):
    """NATS on the loopback interface; streams live in its folder and survive a stop."""

    name: ClassVar[str] = "nats"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        monitor_port: int | None = None,
        log: Path | None = None,
        max_file_bytes: int = 1 << 30,
        sync: str = "always",
    ) -> None:
        super().__init__(folder, port=port, log=log)
        self.monitor_port = ports.free_port() if monitor_port is None else monitor_port
        self._max_file_bytes = max_file_bytes
        self._sync = sync

    @override
    @property
    def url(self) -> str:
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The address of the monitoring pages."""
        return f"http://{LOOPBACK}:{self.monitor_port}"

    @override
    async def _prepare(self) -> None:
        text = _CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            monitor_port=self.monitor_port,
            store=self.folder / "store",
            max_file=self._max_file_bytes,
            sync=self._sync,
        )
        (self.folder / "nats.conf").write_text(text)

    @override
    def _program(self) -> Process:
        command = [str(binaries.nats_server()), "--config", str(self.folder / "nats.conf")]
        return Process(self.name, command, log=self.log, cwd=self.folder)

    @override
    async def _answers(self) -> bool:
        return await self._greets() and await self._is_healthy()

    async def _greets(self) -> bool:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            return (await reader.readuntil(b"\r\n")).startswith(b"INFO ")
        finally:
            writer.close()
            await writer.wait_closed()

    async def _is_healthy(self) -> bool:
        """Ask the monitoring page: healthy means that JetStream has recovered its streams."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.monitor_port)
        try:
            writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
            status = await reader.readuntil(b"\r\n")
            return b" 200 " in status
        finally:
            writer.close()
            await writer.wait_closed()
