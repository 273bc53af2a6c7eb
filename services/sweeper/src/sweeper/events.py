"""What the sweeper says."""

from typing import ClassVar

from common.bus import Event


class SweepFinished(Event):
    """A pass did something, or began or ceased to do nothing."""

    subject: ClassVar[str] = "evt.sweeper.sweep_finished.v1"

    sweep: str
    shard: int
    count: int
    skipped: str | None
