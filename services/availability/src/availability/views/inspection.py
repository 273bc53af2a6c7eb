"""One mitra as operators see her."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from availability.views.base import View
from availability.views.drift import MirrorStateView
from availability.views.facts import ExplainedView


class TruthView(View):
    """What Postgres knows of her; a beat arrives here with the next flush."""

    is_online: bool
    is_active: bool
    load: int
    capacity: int
    last_heartbeat_at: AwareDatetime | None


class HeldView(View):
    """What the mirror holds of her; `is_found`: those who look for a mitra may get her."""

    is_online: bool
    is_active: bool
    load: int
    capacity: int
    last_heartbeat_at: AwareDatetime | None
    is_found: bool


class DifferenceView(View):
    """One fact that the mirror has otherwise; `mirror` null: it holds nothing of her."""

    fact: Literal["online", "active", "load", "available", "all"]
    mirror: str | None
    postgres: str


class MirrorView(MirrorStateView):
    """The mirror beside Postgres; `agrees` is null while there is no mirror to compare."""

    agrees: bool | None
    holds: HeldView | None
    differences: list[DifferenceView]


class InspectionView(ExplainedView):
    """Why she gets requests or not, and whether the mirror has her right; `source` answered."""

    source: Literal["mirror", "postgres"]
    mitra_id: UUID
    display_name: str | None
    went_online_at: AwareDatetime | None
    offline_reason: Literal["self", "auto_offline", "operator", "logout", "deactivated"] | None
    postgres: TruthView
    mirror: MirrorView
