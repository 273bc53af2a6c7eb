"""A sweep's pass that was stopped because it would take too many mitras offline at once."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Brake:
    """Whom the stopped pass would take offline, and whether an operator confirmed that."""

    brake_id: UUID
    mitra_ids: tuple[UUID, ...]
    online: int
    fresh: int
    needs_operator: bool
    since: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None

    @property
    def mitras(self) -> int:
        """Return how many that are."""
        return len(self.mitra_ids)
