"""I1 and I2: one winner a request, no mitra over her capacity."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from temani.demo.oracle.history import Record
from temani.demo.oracle.truth import Truth

# After these a session holds its place no more (an expired one may, with an open extension: such
# a one is counted as free here, so that nobody is accused wrongly).
FREED = frozenset(
    {
        "session_expired",
        "session_closing",
        "session_cancelled",
        "session_rerouted",
        "session_completed",
    }
)
TAKEN_AGAIN = "session_resumed"


async def one_winner(truth: Truth, record: Record) -> list[str]:
    """Find requests with two winners, and promises of a session that were not kept."""
    found = [
        f"request {row['request_id']} has {row['sessions']} sessions that were not rerouted: "
        + ", ".join(str(one) for one in row["session_ids"])
        for row in await truth.rows("requests_with_two_sessions")
    ]
    found += [
        f"session {row['session_id']} ({row['state']}) of request {row['request_id']}: the request "
        f"is {row['request_state']} with session {row['request_session']}"
        for row in await truth.rows("unmatched_sessions")
    ]
    found += [
        f"request {row['request_id']} is matched but its session {row['session_id']} does not exist"
        for row in await truth.rows("lonely_matches")
    ]
    found += [
        f"request {row['request_id']}, search {row['attempt']}: {row['offers']} accepted offers"
        for row in await truth.rows("double_accepts")
    ]
    return found + await _broken_promises(truth, record)


async def _broken_promises(truth: Truth, record: Record) -> list[str]:
    accepts = record.done("accept")
    ids = [UUID(one.facts["session"]) for one in accepts]
    rows = {row["id"]: row for row in await truth.rows("sessions", ids)}
    found = []
    for one in accepts:
        row = rows.get(UUID(one.facts["session"]))
        if row is None:
            found.append(f"mitra {one.who} was given session {one.facts['session']}: it is gone")
        elif str(row["mitra_id"]) != one.who:
            found.append(f"mitra {one.who} was given session {row['id']} of {row['mitra_id']}")
    return found


async def within_capacity(truth: Truth) -> list[str]:
    """Find mitras who hold, or once held, more sessions than their capacity."""
    found = [
        f"mitra {row['mitra_id']}: place {row['slot']} is held by {row['sessions']} sessions"
        for row in await truth.rows("shared_slots")
    ]
    capacity = {row["mitra_id"]: row["capacity"] for row in await truth.rows("capacities")}
    for row in await truth.rows("slot_holders"):
        limit = capacity.get(row["mitra_id"], 0)
        if max(row["held"], row["highest"]) > limit:
            found.append(
                f"mitra {row['mitra_id']} holds {row['held']} sessions (highest place "
                f"{row['highest']}) with capacity {limit}"
            )
    return found + await _once_over_capacity(truth, capacity)


async def _once_over_capacity(truth: Truth, capacity: dict[UUID, int]) -> list[str]:
    changes: dict[UUID, list[tuple[datetime, int]]] = defaultdict(list)
    mitra_of = {}
    for row in await truth.rows("session_rows"):
        mitra_of[row["id"]] = row["mitra_id"]
        changes[row["mitra_id"]].append((row["created_at"], 1))
    holding = set(mitra_of)
    for step in await truth.rows("session_steps"):
        mitra = mitra_of.get(step["session_id"])
        if mitra is None:
            continue
        if step["noun"] in FREED and step["session_id"] in holding:
            holding.discard(step["session_id"])
            changes[mitra].append((step["created_at"], -1))
        elif step["noun"] == TAKEN_AGAIN and step["session_id"] not in holding:
            holding.add(step["session_id"])
            changes[mitra].append((step["created_at"], 1))
    found = []
    for mitra, moves in changes.items():
        load = highest = 0
        for _, change in sorted(moves):
            load += change
            highest = max(highest, load)
        if highest > capacity.get(mitra, 0):
            limit = capacity.get(mitra, 0)
            found.append(f"mitra {mitra} once held {highest} sessions with capacity {limit}")
    return found
