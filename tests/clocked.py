"""A real Valkey whose wall clock a test turns: Debian's libfaketime stands before its libc."""

import os
import platform
import time
from pathlib import Path

import valkey.asyncio as valkey_client
from tests import debian
from typing_extensions import override

from common.testing.waiting import eventually
from temani import layout
from temani.process import Process
from temani.servers import Valkey

CACHE = layout.ROOT / ".venv" / "faketime"  # goes when the environment goes
_CLOSE_SECONDS = 0.2


def libfaketime() -> Path:
    """Return the library, fetched once. Raises NotFetched."""
    root = debian.fetch(("libfaketime",), CACHE, lambda _: None)
    return root / f"usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1"


class ClockedValkey(Valkey):
    """Its clock is the machine's until it is turned; monotonic time goes on, as it always does."""

    def __init__(self, folder: Path, library: Path, *, cluster: bool = True) -> None:
        super().__init__(folder, cluster=cluster)
        self._library = library
        self._clock = self.folder / "clock"

    async def turn(self, seconds: float) -> None:
        """Make its clock differ from the machine's by so much; returns when it does."""
        self._write(seconds)
        async with valkey_client.Valkey.from_url(self.url) as client:

            async def turned() -> bool:
                # The server looks at the clock when it has nothing to do, ten times a second.
                whole, micro = await client.time()
                return abs(whole + micro / 1e6 - time.time() - seconds) < _CLOSE_SECONDS

            await eventually(turned)

    def _write(self, seconds: float) -> None:
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+}\n")
        fresh.replace(self._clock)  # never half written

    @override
    async def _prepare(self) -> None:
        await super()._prepare()
        self._write(0)

    @override
    def _program(self) -> Process:
        program = super()._program()
        program._env = {
            **os.environ,
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return program
