"""What customers see before they ask."""

from typing import Literal

from pydantic import AwareDatetime

from availability.views.base import View


class BeaconView(View):
    """What customers see before they ask to be paired.

    While it is `disabled`: why (the operators' switch, or outside of the service hours), and when
    it opens, as far as that is known.
    """

    state: Literal["available", "all_busy", "none_online", "disabled"]
    count: int
    as_of: AwareDatetime
    why: Literal["switch", "hours"] | None = None
    opens_at: AwareDatetime | None = None
