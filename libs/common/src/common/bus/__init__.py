"""The bus: telling other processes through NATS, which may be away at any time."""

from common.bus.bus import Bus, PubAck
from common.bus.dead_letters import DeadLetter, DeadLetters
from common.bus.delivery import Delivery
from common.bus.envelope import Event, Heard, Malformed
from common.bus.errors import BusUnavailable, CommandFailed

__all__ = [
    "Bus",
    "BusUnavailable",
    "CommandFailed",
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Event",
    "Heard",
    "Malformed",
    "PubAck",
]
