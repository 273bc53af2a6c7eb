"""Who hears the bus: nobody at NOWHERE; a replica in this process once it has subscribed."""

import asyncio

from common.bus import Bus
from common.runner import Runner
from common.testing import eventually

# Nothing listens there.
NOWHERE = "nats://127.0.0.1:9"


async def subscribed(runner: Runner) -> None:
    """Return when NATS knows every subscription of the process that this runner runs.

    What is told before goes to nobody: hints and pushes are not kept for whoever comes later.
    """
    owners = [getattr(close, "__self__", None) for close in runner._closers]
    buses = [owner for owner in owners if isinstance(owner, Bus)]
    await eventually(lambda: all(bus.connections for bus in buses) and not _attaching(), timeout=20)
    for bus in buses:
        client = bus._link.client
        assert client is not None
        # Its answer comes behind everything that was said before.
        await client.flush(timeout=20)


def _attaching() -> bool:
    return any(task.get_name() == "bus-attach" for task in asyncio.all_tasks())
