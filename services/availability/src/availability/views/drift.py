"""How the mirror is, and what it had otherwise than Postgres."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from availability.views.base import View
from common.web import Page
from mirror import ReasonCode

AdviceCode = Literal["away", "no_writes", "deaf", "seeding", "eviction"]


class MirrorStateView(View):
    """Whether the mirror answers (state `ok`), as this replica last saw it, and since when.

    In any other state Postgres answers: slower, not wrong. `advice` says what helps; `reason_code`
    and `advice_codes` are for a page with words of its own. `eviction`: Valkey may evict its keys.
    """

    state: Literal["ok", "away", "deaf", "seeding"]
    reason: str | None
    reason_code: ReasonCode | None
    since: AwareDatetime
    advice: str | None
    advice_codes: list[AdviceCode]


class LookView(View):
    """A full comparison of the mirror with Postgres; what it finds it heals."""

    mitras: int
    found: int
    healed: int
    ended_at: AwareDatetime
    seconds: float


class DriftedView(View):
    """One fact that the mirror had otherwise; it is mended.

    `cause`: a change never came (missed), the value was another (wrong), the kept answer did not
    follow from the facts (kept_answer), Postgres does not know her (stranger). `at_most_seconds`:
    it cannot have been so for longer; null where nobody can say.
    """

    drift_id: UUID
    mitra_id: UUID
    display_name: str | None
    fact: Literal["online", "active", "load", "available", "all"]
    cause: Literal["missed", "wrong", "kept_answer", "stranger"]
    mirror: str | None
    postgres: str | None
    found_at: AwareDatetime
    at_most_seconds: float | None
    found_by: Literal["reconcile", "reseed", "beat"]


class DriftView(View):
    """The last full looks at the mirror, and what was mended lately, the newest first."""

    mirror: MirrorStateView
    last_turn: LookView | None
    last_reseed: LookView | None
    recent: Page[DriftedView]


class DriftQuery(BaseModel):
    """Which part of what was mended."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: UUID | None = None


class ReseedProgressView(View):
    """How far a reseed is: `mitras` of `total` were read.

    `waiting`: another one is at it. `error` says why it failed (`lost`: with its replica), `advice`
    what helps.
    """

    reseed_id: UUID
    state: Literal["waiting", "running", "done", "failed"]
    asked_at: AwareDatetime
    changed_at: AwareDatetime
    total: int
    mitras: int
    healed: int | None
    strangers: int | None
    error: str | None
    error_code: Literal["lost", "failed"] | None
    advice: str | None
