"""The running stack that the tests from outside share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.stack import PATIENT, Stack, launch


@pytest.fixture(scope="session")
async def stack(scratch: Path) -> AsyncIterator[Stack]:
    """The whole system on its demo profile, started once a run."""
    running = await launch(scratch / "stack", PATIENT)
    yield running
    await running.launched.stop()
