"""Whether the service takes requests at all: a demo of a closed one would show refusals only."""

from datetime import datetime
from typing import Any

from temani.demo.phone import Phone

REFUSED = "requests_refused_closed"
WHILE_IT_RAN = (
    "a request was refused because the service was closed meanwhile, by its hours or the "
    "maintenance switch; the operators' page (/control/) says which"
)
_WHY = {
    "switch": "the maintenance switch is on",
    "hours": "it is outside of the service hours",
}


class ServiceClosed(Exception):
    """No new requests are taken; the message says why, until when, and what to do."""


async def need_open(operator: Phone) -> None:
    """Ask as the signed-in operator whether requests are taken; raises ServiceClosed."""
    hours = await operator.call("GET", "/api/control/availability/service-hours")
    if not hours["now"]["is_open"]:
        raise ServiceClosed(explain(hours["now"], page=f"{operator.world.gateway}/control/"))


def explain(now: dict[str, Any], *, page: str) -> str:
    """Say why the service is closed, until when, and how to open it on the operators' `page`."""
    why = _WHY.get(str(now["why"]), "an operator closed it")
    note = f" (note: {now['note']!r})" if now["note"] else ""
    until = "nobody planned when it opens"
    if now["opens_at"]:
        until = f"it opens at {datetime.fromisoformat(now['opens_at']).astimezone():%Y-%m-%d %H:%M}"
    button = "Open again" if now["why"] == "switch" else "Edit hours"
    return (
        f"the service is closed for new requests: {why}{note}; {until}. "
        f"The demo would show nothing but refusals.\n"
        f"  What to do: press {button!r} on the operators' page, {page} "
        "(`make up` serves it when nothing runs), or begin anew with `make reset`."
    )
