"""The bus: telling other processes through NATS, which may be away at any time."""

from common.bus.envelope import Event, Heard, Malformed

__all__ = ["Event", "Heard", "Malformed"]
