"""One row of the audit: who did what to whom, from where; never a code, token or whole phone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from auth.domain.origin import Origin

Book = Literal["people", "control"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened."""

    action: str
    book: Book = "people"
    actor_role: str | None = None
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    login_id: UUID | None = None
    phone_masked: str | None = None
    origin: Origin | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
