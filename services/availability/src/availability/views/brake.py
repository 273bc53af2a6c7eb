"""The brake of auto-offline: a pass that was stopped, and its confirmation."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from availability.views.base import View


class BrakeView(View):
    """A stopped pass: it would take `mitras` of those `online` offline at once; `fresh` are heard.

    `needs_operator`: it goes on when an operator confirms it, else the next pass does by itself.
    `confirmed_by` is an operator's id, or a name that was given on the sweeper's command line.
    """

    brake_id: UUID
    mitras: int
    online: int
    fresh: int
    needs_operator: bool
    since: AwareDatetime
    confirmed_at: AwareDatetime | None
    confirmed_by: str | None


class BrakeNowView(View):
    """The pass that is stopped now, and whom it would take; null and nobody while none is."""

    brake: BrakeView | None
    mitra_ids: list[UUID]


class ConfirmBody(BaseModel):
    """Which brake the operator saw: another one is not confirmed."""

    model_config = ConfigDict(extra="forbid")

    brake_id: UUID


class ConfirmedView(View):
    """So many mitras go offline with the next pass, unless they beat until then."""

    brake_id: UUID
    mitras: int
