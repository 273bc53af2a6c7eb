"""Group commit: batches while one commits, order kept, every sender answered."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from services.chat.tests.fakes import FakeRealtime
from services.chat.tests.test_domain import LIMITS

from chat import errors
from chat.domain.messages import Draft, Message, Outcome, Sent
from chat.handlers.messages import Messages
from common.db import CommitUnknown, Unavailable
from common.ids import new_id


class SlowStore:
    """Commits when the test says so; the real one is proven in test_races."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.fails: Exception | None = None
        self.is_fresh = True
        self._seq = 0

    async def add_messages(self, drafts: Sequence[Draft]) -> list[tuple[Outcome, Sent | None]]:
        """Wait for the gate, then accept all but those that say `no`."""
        self.batches.append([draft.text for draft in drafts])
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return [self._answer(draft) for draft in drafts]

    def _answer(self, draft: Draft) -> tuple[Outcome, Sent | None]:
        if draft.text == "no":
            return "over", None
        self._seq += 1
        message = Message(
            session_id=draft.session_id,
            seq=self._seq,
            message_id=new_id(),
            client_message_id=draft.client_message_id,
            sender_id=draft.sender_id,
            sender_role="customer",
            kind="text",
            text=draft.text,
            sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        sent = Sent(
            message, draft.sender_id, new_id(), is_fresh=self.is_fresh, is_first_reply=False
        )
        return "accepted", sent


class Tasks:
    """Runs one-offs and keeps them."""

    def __init__(self) -> None:
        self.held: set[asyncio.Task[Any]] = set()

    def background(self, awaitable: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run it beside the test."""
        task = asyncio.get_running_loop().create_task(awaitable, name=name)
        self.held.add(task)


def messages_on(store: SlowStore, realtime: FakeRealtime) -> Messages:
    """Wire messages to the slow store."""
    return Messages(
        store=store,  # type: ignore[arg-type]  # the part of the store that messages use here
        realtime=realtime,
        teller=None,  # type: ignore[arg-type]  # only goodbyes tell more
        background=Tasks(),
        limits=LIMITS,
    )


@pytest.mark.req("CH-04")
async def test_what_arrives_meanwhile_rides_together() -> None:
    """The first message commits alone; all that come while it does share the next commit."""
    store, realtime = SlowStore(), FakeRealtime()
    messages = messages_on(store, realtime)
    session, sender = new_id(), new_id()
    sends = [
        asyncio.create_task(messages.send(Draft(session, sender, new_id(), str(n))))
        for n in range(10)
    ]
    while not store.batches:
        await asyncio.sleep(0)
    assert realtime.told == []
    store.gate.set()
    sent = await asyncio.gather(*sends)
    assert [message.seq for message in sent] == list(range(1, 11))
    assert store.batches in ([["0"], [str(n) for n in range(1, 10)]], [[str(n) for n in range(10)]])
    assert [frame["seq"] for frame in realtime.of(sender, "message")] == list(range(1, 11))


@pytest.mark.req("CH-04")
async def test_one_refusal_among_many() -> None:
    """A refused message costs only its sender an error."""
    store = SlowStore()
    store.gate.set()
    messages = messages_on(store, FakeRealtime())
    session, sender = new_id(), new_id()
    outcomes = await asyncio.gather(
        *(messages.send(Draft(session, sender, new_id(), text)) for text in ("a", "no", "b")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Message, errors.SessionOver, Message]


@pytest.mark.req("CH-04")
async def test_a_failed_commit_reaches_every_sender() -> None:
    """When the commit fails each sender hears it, nothing is told, and the lane goes on."""
    store, realtime = SlowStore(), FakeRealtime()
    store.gate.set()
    messages = messages_on(store, realtime)
    session, sender = new_id(), new_id()
    store.fails = Unavailable("gone")
    outcomes = await asyncio.gather(
        *(messages.send(Draft(session, sender, new_id(), "x")) for _ in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert realtime.told == []
    store.fails = None
    assert (await messages.send(Draft(session, sender, new_id(), "again"))).seq == 1


@pytest.mark.req("CH-04", "OP-09")
async def test_empty_messages() -> None:
    """Blanks are no message."""
    messages = messages_on(SlowStore(), FakeRealtime())
    with pytest.raises(errors.MessageEmpty):
        await messages.send(Draft(new_id(), new_id(), new_id(), " \n\t"))


@pytest.mark.req("CH-04")
async def test_an_unknown_commit_is_told_with_the_retry() -> None:
    """A message whose commit was in doubt is told when its sender repeats it."""
    store, realtime = SlowStore(), FakeRealtime()
    store.gate.set()
    messages = messages_on(store, realtime)
    draft = Draft(new_id(), new_id(), new_id(), "halo")
    store.fails = CommitUnknown("the answer was lost")
    with pytest.raises(CommitUnknown):
        await messages.send(draft)
    assert realtime.told == []
    store.fails, store.is_fresh = None, False
    for _ in range(2):
        await messages.send(draft)
    assert len(realtime.of(draft.sender_id, "message")) == 1
