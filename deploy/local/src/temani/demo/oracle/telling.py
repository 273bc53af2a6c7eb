"""I4 and I8: every transition was legal, was told exactly once, and reached its stream."""

from collections import defaultdict
from typing import Any

from temani.demo.oracle.history import Record
from temani.demo.oracle.truth import Truth

# What each event does to the state of its session: from where it may come, and where it leads.
SESSION_STEPS: dict[str, tuple[frozenset[str | None], str]] = {
    "session_created": (frozenset({None}), "pending_payment"),
    "session_activated": (frozenset({"pending_payment"}), "active"),
    "session_extended": (frozenset({"active"}), "active"),
    "session_expired": (frozenset({"active", "expired"}), "expired"),
    "session_resumed": (frozenset({"expired"}), "active"),
    "session_closing": (frozenset({"active", "expired"}), "closing"),
    "session_completed": (frozenset({"closing"}), "completed"),
    "session_cancelled": (frozenset({"pending_payment"}), "cancelled"),
    "session_rerouted": (frozenset({"active"}), "rerouted"),
}
REQUEST_STEPS: dict[str, tuple[frozenset[str | None], str]] = {
    "request_opened": (frozenset({None, "matched"}), "searching"),
    "request_matched": (frozenset({"searching"}), "matched"),
    "request_expired": (frozenset({"searching"}), "expired"),
    "request_cancelled": (frozenset({"searching"}), "cancelled"),
}
ONLINE_STEPS: dict[str, tuple[frozenset[str | None], str]] = {
    "mitra_online": (frozenset({None, "False"}), "True"),
    "mitra_offline": (frozenset({"True"}), "False"),
}
ACTIVE_STEPS: dict[str, tuple[frozenset[str | None], str]] = {
    "mitra_deactivated": (frozenset({None, "True"}), "False"),
    "mitra_reactivated": (frozenset({"False"}), "True"),
}
TERMINAL = frozenset({"completed", "cancelled", "rerouted"})


def replay(
    steps: list[Any], key: str, table: dict[str, tuple[frozenset[str | None], str]]
) -> tuple[dict[Any, str], list[str]]:
    """Walk through events in order; returns where each thing ended, and the illegal steps."""
    state: dict[Any, str] = {}
    illegal = []
    for step in steps:
        now = state.get(step[key])
        if step["noun"] not in table:
            continue
        allowed, after = table[step["noun"]]
        if now not in allowed:
            illegal.append(f"{key} {step[key]}: {step['noun']} while {now or 'unknown'}")
        state[step[key]] = after
    return state, illegal


async def told_once(truth: Truth) -> list[str]:
    """Find transitions without their event, events without their transition, and doubles."""
    found: list[str] = []
    for question, rows, key, id_, column, table in (
        ("session_steps", "session_rows", "session_id", "id", "state", SESSION_STEPS),
        ("request_steps", "request_rows", "request_id", "id", "state", REQUEST_STEPS),
        ("online_steps", "online_rows", "mitra_id", "mitra_id", "is_online", ONLINE_STEPS),
        ("active_steps", "active_rows", "mitra_id", "mitra_id", "is_active", ACTIVE_STEPS),
    ):
        told, _ = replay(await truth.rows(question), key, table)
        never = {"is_online": "False", "is_active": "True"}.get(column)
        for row in await truth.rows(rows):
            last = told.get(row[id_], never)
            if last != str(row[column]):
                found.append(
                    f"{key} {row[id_]}: {column} is {row[column]}, the last event said {last}"
                )
    return found + await _doubles(truth)


async def _doubles(truth: Truth) -> list[str]:
    times: dict[tuple[Any, ...], int] = defaultdict(int)
    for step in await truth.rows("session_steps"):
        times[(step["session_id"], step["noun"], step["version"])] += 1
    return [
        f"session {session}: {noun} (version {version}) was told {count} times"
        for (session, noun, version), count in times.items()
        if count > 1
    ]


async def published(truth: Truth) -> list[str]:
    """Find events that no stream has confirmed."""
    return [
        f"{row['service']}: {row['subject']} {row['id']} of {row['created_at']:%H:%M:%S} "
        "is not published"
        for row in await truth.rows("unpublished")
    ]


async def legal_moves(truth: Truth, record: Record) -> list[str]:
    """Find illegal transitions, in the database's events and in what clients were shown."""
    found = []
    for question, key, table in (
        ("session_steps", "session_id", SESSION_STEPS),
        ("request_steps", "request_id", REQUEST_STEPS),
        ("online_steps", "mitra_id", ONLINE_STEPS),
        ("active_steps", "mitra_id", ACTIVE_STEPS),
    ):
        found += replay(await truth.rows(question), key, table)[1]
    return found + _resurrections(record)


def _resurrections(record: Record) -> list[str]:
    ended: dict[tuple[str, str], str] = {}
    found = []
    for seen in record.sightings["session"]:
        key, state = (seen.who, seen.facts["session"]), seen.facts["state"]
        if key in ended and state != ended[key]:
            found.append(f"{seen.who} saw session {key[1]} become {state} after {ended[key]}")
        if state in TERMINAL:
            ended[key] = state
    return found
