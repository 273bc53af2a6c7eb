"""What customers see before they ask."""

from typing import Literal

from pydantic import AwareDatetime

from availability.views.base import View


class BeaconView(View):
    """What customers see before they ask to be paired."""

    state: Literal["available", "all_busy", "none_online", "disabled"]
    available: int
    as_of: AwareDatetime
