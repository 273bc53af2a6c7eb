"""One wish is done once: the answer to an Idempotency-Key is stored with what it did, for a day."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import orjson

from common.db import Queries, Transaction

QUERIES = Queries.load(Path(__file__).with_name("idempotency.sql"))


class IdempotencyMismatch(Exception):
    """This Idempotency-Key was used for another request."""

    code: ClassVar[str] = "idempotency_mismatch"


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What was answered the first time."""

    status: int
    body: bytes


async def replay(
    tx: Transaction, *, key: str, owner: UUID, route: str, body: bytes
) -> StoredReply | None:
    """Return the stored answer, or None when this wish is new and now claimed by us.

    Call it first in the transaction: a parallel twin waits in it until we commit or roll back.
    """
    digest = body_hash(body)
    if await tx.fetchrow(QUERIES["claim_key"], owner, route, key, digest) is not None:
        return None
    row = await tx.fetchrow(QUERIES["find_reply"], owner, route, key)
    if row is None or row["body_sha256"] != digest:
        raise IdempotencyMismatch
    if row["status"] is None:
        return None
    return StoredReply(status=row["status"], body=row["reply"])


async def remember(
    tx: Transaction, *, key: str, owner: UUID, route: str, body: bytes, status: int, reply: bytes
) -> None:
    """Store the answer in the transaction that did what was wished; `replay` came before."""
    del body  # its hash was stored when the key was claimed
    if await tx.fetchrow(QUERIES["save_reply"], owner, route, key, status, reply) is None:
        raise RuntimeError("remember() without replay() in the same transaction")


async def prune(tx: Transaction, *, most: int = 1000) -> None:
    """Forget answers older than a day, at most so many at once."""
    await tx.execute(QUERIES["prune_replies"], most)


def body_hash(body: bytes) -> bytes:
    """Hash a JSON body by its meaning: a client may order its members anew when it retries."""
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).digest()
