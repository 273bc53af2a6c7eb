"""I5: no row stays past its deadline, and nothing ends before its time."""

from datetime import timedelta

from temani.demo.oracle.truth import Truth

# Both times are Postgres' own; what is left is the moment between reading and writing.
ROUNDING = timedelta(milliseconds=5)


async def kept(truth: Truth, *, grace_seconds: float) -> list[str]:
    """Find what is overdue by more than the grace, and what came too early."""
    found = [
        f"{row['owner']} {row['kind']} {row['id']} is {row['late_seconds']:.1f} s past its deadline"
        for row in await truth.rows("overdue", grace_seconds)
    ]
    return found + await _early_sessions(truth) + await _early_requests(truth)


async def _early_sessions(truth: Truth) -> list[str]:
    over = {}
    for step in await truth.rows("session_steps"):
        if step["noun"] == "session_expired" and step["reason"] == "time_over":
            over[step["session_id"]] = step["created_at"]
        elif step["noun"] in {"session_resumed", "session_extended"}:
            over.pop(step["session_id"], None)
    return [
        f"session {row['id']} expired {row['ends_at'] - over[row['id']]} before its end"
        for row in await truth.rows("session_rows")
        if row["id"] in over and over[row["id"]] + ROUNDING < row["ends_at"]
    ]


async def _early_requests(truth: Truth) -> list[str]:
    expired = {
        step["request_id"]: step["created_at"]
        for step in await truth.rows("request_steps")
        if step["noun"] == "request_expired"
    }
    return [
        f"request {row['id']} expired {row['wait_until'] - expired[row['id']]} before its end"
        for row in await truth.rows("request_rows")
        if row["id"] in expired and expired[row["id"]] + ROUNDING < row["wait_until"]
    ]
