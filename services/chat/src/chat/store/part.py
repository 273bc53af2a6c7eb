"""What every part of a transaction has."""

from common.clock import Clock
from common.db import Transaction
from common.outbox import Outbox


class Part:
    """A transaction, and the outbox that takes its events."""

    def __init__(self, tx: Transaction, *, outbox: Outbox, clock: Clock) -> None:
        self._tx = tx
        self._outbox = outbox
        self._clock = clock
