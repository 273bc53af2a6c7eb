"""One wish is done once: replayed by its key, refused for another body, free again after a day."""

import asyncio
from typing import Any

import pytest

from common import idempotency
from common.db import Database, Transaction
from common.idempotency import IdempotencyMismatch, StoredReply, body_hash, remember, replay
from common.ids import new_id

WISH: dict[str, Any] = {"route": "/api/wishes", "body": b'{"a": 1, "b": [2]}'}


async def do(db: Database, *, key: str, owner: Any, done: list[str], **wish: Any) -> bytes:
    """Do a wish the way a service does."""

    async def work(tx: Transaction) -> bytes:
        known = await replay(tx, key=key, owner=owner, **wish)
        if known is not None:
            return known.body
        done.append(key)
        reply = f"done {len(done)}".encode()
        await remember(tx, key=key, owner=owner, status=201, reply=reply, **wish)
        return reply

    return await db.run(work)


async def test_a_retry_gets_the_first_answer(db: Database) -> None:
    """The same key and body is answered from memory, however its members are ordered."""
    owner, done = new_id(), list[str]()
    first = await do(db, key="k", owner=owner, done=done, **WISH)
    again = await do(db, key="k", owner=owner, done=done, **{**WISH, "body": b'{"b":[2],"a":1}'})

    assert (first, again, done) == (b"done 1", b"done 1", ["k"])


async def test_parallel_twins_are_one_wish(db: Database) -> None:
    """Two at the same time: the second waits for the first and gets its answer."""
    owner, done = new_id(), list[str]()
    answers = await asyncio.gather(
        *(do(db, key="k", owner=owner, done=done, **WISH) for _ in range(4))
    )

    assert answers == [b"done 1"] * 4
    assert done == ["k"]


async def test_another_body_under_the_key_is_refused(db: Database) -> None:
    """A key names one wish: with another body it is a mistake of the client."""
    owner, done = new_id(), list[str]()
    await do(db, key="k", owner=owner, done=done, **WISH)

    with pytest.raises(IdempotencyMismatch):
        await do(db, key="k", owner=owner, done=done, **{**WISH, "body": b"{}"})


async def test_keys_belong_to_their_owner_and_route(db: Database) -> None:
    """The same key of another user, or on another route, is another wish."""
    done = list[str]()
    for owner, route in ((new_id(), "/a"), (new_id(), "/a"), (new_id(), "/b")):
        await do(db, key="k", owner=owner, done=done, **{**WISH, "route": route})

    assert len(done) == 3


async def test_a_failed_wish_is_free_again(db: Database) -> None:
    """What was rolled back was not done: the retry does it."""
    owner = new_id()

    async def fail(tx: Transaction) -> None:
        assert await replay(tx, key="k", owner=owner, **WISH) is None
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await db.run(fail)

    assert await do(db, key="k", owner=owner, done=[], **WISH) == b"done 1"


async def test_after_a_day_the_key_is_forgotten(db: Database) -> None:
    """An old answer is not replayed, and pruning removes it."""
    owner, done = new_id(), list[str]()
    await do(db, key="old", owner=owner, done=done, **WISH)
    await do(db, key="older", owner=owner, done=done, **WISH)
    async with db.transaction() as tx:
        await tx.execute("UPDATE idempotency SET created_at = created_at - interval '25 hours'")
    await do(db, key="old", owner=owner, done=done, **{**WISH, "body": b"{}"})
    async with db.transaction() as tx:
        await idempotency.prune(tx)
        kept = [row["key"] for row in await tx.fetch("SELECT key FROM idempotency")]

    assert done == ["old", "older", "old"]
    assert kept == ["old"]


async def test_remembering_needs_a_claim(db: Database) -> None:
    """An answer without its claim would be lost in silence: it is a bug and says so."""
    async with db.transaction() as tx:
        with pytest.raises(RuntimeError, match="replay"):
            await remember(tx, key="k", owner=new_id(), status=201, reply=b"", **WISH)


def test_what_is_no_json_has_a_hash_too() -> None:
    """Any body can be compared."""
    assert body_hash(b"{") != body_hash(b"[")
    assert StoredReply(status=201, body=b"x") == StoredReply(status=201, body=b"x")
