"""A real Valkey whose wall clock a test turns: Debian's libfaketime stands before its libc."""

import os
import platform
import sys
import time
from pathlib import Path

import pytest
import valkey.asyncio as valkey_client
from tests import debian
from typing_extensions import override

from common.testing.waiting import eventually
from temani import layout
from temani.process import Process
from temani.servers import Valkey

VARIABLE = "LIBFAKETIME"
LIBRARY = "libfaketimeMT.so.1"  # of the two the one for programs with threads
MACHINE = Path("/")
CACHE = layout.ROOT / ".venv" / "faketime"  # goes when the environment goes
ADVICE = (
    "Install your system's package libfaketime, or say where its library is: "
    f"{VARIABLE}=/path/to/{LIBRARY}. Without it: make test ARGS='-k \"not valkeys_clock\"'"
)
# Where Debian's, Fedora's and others' packages keep it.
_FOLDERS = ("usr/lib/{triplet}/faketime", "usr/lib64/faketime", "usr/lib/faketime")
_CLOSE_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0


class NoLibrary(Exception):
    """No libfaketime is to be had; says why."""


def libfaketime() -> Path:
    """Return the library; where there is none the test that needs it fails and says what to do.

    It is skipped only where no library could help: other systems than Linux know no LD_PRELOAD.
    """
    if sys.platform != "linux":
        pytest.skip(f"nobody turns the clock of one program alone on {sys.platform}")
    try:
        return find()
    except NoLibrary as reason:
        pytest.fail(f"{reason}. {ADVICE}")


def find() -> Path:
    """Return the library that is named, the machine's own, or Debian's, fetched once.

    Raises NoLibrary.
    """
    if named := os.environ.get(VARIABLE):
        if Path(named).is_file():
            return Path(named)
        raise NoLibrary(f"{VARIABLE}: there is no {named}")
    if found := _below(MACHINE):
        return found
    try:
        root = debian.fetch(("libfaketime",), CACHE, lambda _: None, lists=debian.LISTS)
    except debian.NotFetched as reason:
        raise NoLibrary(f"No libfaketime here, and {reason}") from reason
    if found := _below(root):
        return found
    raise NoLibrary(f"No libfaketime in {root}")


def _below(root: Path) -> Path | None:
    triplet = f"{platform.machine()}-linux-gnu"
    places = (root / each.format(triplet=triplet) / LIBRARY for each in _FOLDERS)
    return next((place for place in places if place.is_file()), None)


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

            await eventually(turned, timeout=_PATIENCE_SECONDS)

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
