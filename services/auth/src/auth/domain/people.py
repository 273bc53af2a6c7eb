"""Who uses Temani: people with a role, and the ways to call them without saying too much."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

Role = Literal["customer", "mitra", "operator"]
OtpRole = Literal["customer", "mitra"]

AUDIENCE: Final[dict[Role, str]] = {"customer": "app", "mitra": "app", "operator": "control"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may hold a login."""

    user_id: UUID
    role: Role
    display_name: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Mitra:
    """A mitra as operators see her."""

    mitra_id: UUID
    phone: str
    display_name: str
    is_active: bool
    version: int
    created_at: datetime


def default_name(customer_id: UUID) -> str:
    """Return what a customer is called who has not chosen a name."""
    return f"Sahabat {customer_id.hex[-4:].upper()}"


def mask_phone(phone: str) -> str:
    """Return an E.164 number with all but the country and the last three digits hidden."""
    return f"{phone[:3]}{'*' * max(3, len(phone) - 6)}{phone[-3:]}"
