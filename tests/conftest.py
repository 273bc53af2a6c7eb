"""The running stack that the tests from outside share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.stack import PATIENT, Stack, launch

from temani.places import Options


@pytest.fixture(scope="session")
async def stack(scratch: Path) -> AsyncIterator[Stack]:
    """The whole system on its demo profile, started once a run."""
    options = Options(profile="demo", folder=scratch / "stack", any_ports=True)
    running = await launch(options, PATIENT)
    yield running
    await running.launched.stop()
