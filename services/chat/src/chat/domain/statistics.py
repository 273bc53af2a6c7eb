"""What the control center counts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chat.domain.moves import PaymentState, SessionState
from chat.domain.values import Sensitivity


@dataclass(frozen=True, slots=True)
class SessionCount:
    """How many sessions of one state and sensitivity."""

    state: SessionState
    sensitivity: Sensitivity
    sessions: int


@dataclass(frozen=True, slots=True)
class RaisedCount:
    """How often sensitivity was raised by one role."""

    role: str
    raised: int


@dataclass(frozen=True, slots=True)
class MoneyCount:
    """Payments of one state."""

    state: PaymentState
    payments: int
    amount_idr: int
    refund_idr: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sessions, sensitivity and money of the last days."""

    as_of: datetime
    sessions: list[SessionCount]
    raised: list[RaisedCount]
    money: list[MoneyCount]


@dataclass(frozen=True, slots=True)
class MitraActivity:
    """What a mitra did in the last days."""

    mitra_id: UUID
    sessions: int
    completed: int
    rerouted: int
    sensitive: int
    raised: int
