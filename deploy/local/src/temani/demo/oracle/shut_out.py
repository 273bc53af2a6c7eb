"""I9: from two seconds after her deactivation a mitra gets nothing."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from temani.demo.oracle.history import Operation, Record
from temani.demo.oracle.truth import Truth

EFFECT = timedelta(seconds=2)
REFUSED_OPERATIONS = ("heartbeat", "online", "accept")


async def shut_out(truth: Truth, record: Record) -> list[str]:
    """Find offers, sessions and answers that a deactivated mitra got."""
    found = []
    for mitra, since, until in await _silences(truth):
        for question, what in (("offers_to", "offer"), ("sessions_given_to", "session")):
            found += [
                f"mitra {mitra} was deactivated at {since:%H:%M:%S} and got {what} {row['id']} at "
                f"{row['created_at']:%H:%M:%S}"
                for row in await truth.rows(question, mitra, since + EFFECT, until)
            ]
    return found + _let_in(record)


async def _silences(truth: Truth) -> list[tuple[UUID, datetime, datetime]]:
    (moment,) = await truth.rows("moment")
    found, off = [], dict[UUID, datetime]()
    for step in await truth.rows("active_steps"):
        if step["noun"] == "mitra_deactivated":
            off[step["mitra_id"]] = step["created_at"]
        elif (since := off.pop(step["mitra_id"], None)) is not None:
            found.append((step["mitra_id"], since, step["created_at"]))
    return found + [(mitra, since, moment["now"]) for mitra, since in off.items()]


def _let_in(record: Record) -> list[str]:
    """Compare what she was told with the moments at which the operator was told, on one clock."""
    back: dict[str, list[Operation]] = defaultdict(list)
    for one in record.operations["reactivate"]:
        back[one.facts["mitra"]].append(one)
    found = []
    for off in record.done("deactivate"):
        mitra, since = off.facts["mitra"], (off.ended or off.began) + EFFECT.total_seconds()
        until = min((one.began for one in back[mitra] if one.began > off.began), default=_FOR_EVER)
        found += _answers(record, mitra, since, until)
        found += [
            f"mitra {mitra} was shown offer {seen.facts['offer']} "
            f"{seen.at - since + 2:.1f} s after her deactivation"
            for seen in record.sightings["offer"]
            if seen.who == mitra and since < seen.at < until
        ]
    return found


_FOR_EVER = float("inf")


def _answers(record: Record, mitra: str, since: float, until: float) -> list[Any]:
    return [
        f"mitra {mitra}: {name} was accepted {one.began - since + 2:.1f} s after her deactivation"
        for name in REFUSED_OPERATIONS
        for one in record.done(name)
        if one.who == mitra and since < one.began and (one.ended or one.began) < until
    ]
