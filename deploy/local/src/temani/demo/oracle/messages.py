"""I6: what was acknowledged is there, without gaps, and everybody saw it in order."""

from typing import Any

from temani.demo.oracle.history import Record
from temani.demo.oracle.truth import Truth


async def complete(truth: Truth, record: Record) -> list[str]:
    """Find lost, doubled, invented and misplaced messages."""
    rows = await truth.rows("messages")
    by_client = {(str(row["session_id"]), str(row["client_message_id"])): row for row in rows}
    by_place = {(str(row["session_id"]), row["seq"]): str(row["id"]) for row in rows}
    found = [
        f"session {row['session_id']}: last_seq {row['last_seq']}, {row['messages']} messages, "
        f"highest {row['highest']}"
        for row in await truth.rows("broken_sequences")
    ]
    found += _lost(record, by_client)
    found += _done_though_refused(record, by_client)
    return found + _misplaced(record, by_place)


def _lost(record: Record, by_client: dict[tuple[str, str], Any]) -> list[str]:
    found = []
    for sent in record.done("message"):
        key = (sent.facts["session"], sent.facts["client_message"])
        row = by_client.get(key)
        if row is None:
            found.append(
                f"session {key[0]}: message {sent.facts['message']} (seq {sent.facts['seq']}) of "
                f"{sent.who} was acknowledged and is not there"
            )
        elif row["seq"] != sent.facts["seq"] or str(row["id"]) != sent.facts["message"]:
            found.append(
                f"session {key[0]}: a message was acknowledged as seq {sent.facts['seq']} and is "
                f"stored as {row['seq']}"
            )
    return found


def _done_though_refused(record: Record, by_client: dict[tuple[str, str], Any]) -> list[str]:
    return [
        f"session {sent.facts['session']}: a message refused with {sent.facts['code']} is stored"
        for sent in record.refused("message")
        if (sent.facts["session"], sent.facts["client_message"]) in by_client
    ]


def _misplaced(record: Record, by_place: dict[tuple[str, int], str]) -> list[str]:
    last: dict[tuple[str, str], int] = {}
    found = []
    for seen in record.sightings["message"]:
        session, seq = seen.facts["session"], int(seen.facts["seq"])
        before = last.get((seen.who, session), 0)
        # An app that signed in anew begins from the first message again.
        if seq not in (before + 1, 1):
            found.append(f"{seen.who} saw seq {seq} of session {session} after {before}")
        last[(seen.who, session)] = seq
        stored = by_place.get((session, seq))
        if stored != seen.facts["message"]:
            found.append(
                f"{seen.who} saw message {seen.facts['message']} as seq {seq} of session "
                f"{session}; stored there is {stored}"
            )
    return found
