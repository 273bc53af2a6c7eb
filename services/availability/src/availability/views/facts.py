"""Each fact that decides whether a mitra gets requests."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from availability.views.base import View
from availability.views.statuses import StatusView


class _FactView(View):
    """`since`: when it became so, null where nobody knows; `advice`: what helps, if help is needed.

    `ok` false is what keeps requests away. The word to translate by is `fact` with its details.
    """

    since: AwareDatetime | None
    age_seconds: float | None
    advice: str | None


class OnlineFactView(_FactView):
    """Whether she wants requests; `reason`: how she went offline, null for never online."""

    fact: Literal["online"]
    ok: bool
    reason: Literal["self", "auto_offline", "operator", "logout", "deactivated"] | None


class ActiveFactView(_FactView):
    """Whether operators let her work."""

    fact: Literal["active"]
    ok: bool


class FreshFactView(_FactView):
    """Whether her app was heard of lately.

    While she is offline nobody listens, and `ok` is null. `since` is when she went stale.
    """

    fact: Literal["fresh"]
    ok: bool | None
    last_heartbeat_at: AwareDatetime | None
    heartbeat_age_seconds: float | None
    limit_seconds: float


class LoadFactView(_FactView):
    """Whether she has a free slot; `since`: she holds that many of that many since then."""

    fact: Literal["load"]
    ok: bool
    load: int
    capacity: int


class ServiceFactView(_FactView):
    """Whether the service takes new requests of anybody; `since` only while it is closed.

    `note` is for operators: a mitra does not get it.
    """

    fact: Literal["service"]
    ok: bool
    why: Literal["switch", "hours"] | None
    note: str | None
    opens_at: AwareDatetime | None


FactView = Annotated[
    OnlineFactView | ActiveFactView | FreshFactView | LoadFactView | ServiceFactView,
    Field(discriminator="fact"),
]


class ExplainedView(StatusView):
    """A mitra's own status with each fact it follows from; ages are as honest as they are known."""

    as_of: AwareDatetime
    facts: list[FactView]
