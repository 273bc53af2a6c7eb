"""Random histories of one mitra's sessions on real Postgres: the rows stay sound."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from services.chat.tests.world import World
from tests.hearing import NOWHERE
from tests.support import TestDatabase

from chat import errors
from chat.domain.facts import Story
from common.bus import Bus
from common.runner import Runner

T = TypeVar("T")

_DEADLINES = ("pay_by", "ends_at", "expired_until", "closing_until", "show_up_by", "lost_by")
_ROLES = st.sampled_from(["customer", "mitra"])
_PICK = st.integers(0, 5)

# How a session's last event must read, by its state.
_LAST_EVENT = {
    "pending_payment": {"session_created"},
    "active": {"session_activated", "session_extended", "session_resumed"},
    "expired": {"session_expired"},
    "closing": {"session_closing"},
    "completed": {"session_completed"},
    "cancelled": {"session_cancelled"},
    "rerouted": {"session_rerouted"},
}


class Loop:
    """One event loop with one world, for all histories."""

    def __init__(self, database: TestDatabase) -> None:
        self._runner = asyncio.Runner()
        self.world, self.tasks = self._runner.run(self._start(database))

    async def _start(self, database: TestDatabase) -> tuple[World, Runner]:
        tasks = Runner()
        bus = await Bus.connect(NOWHERE, name="test", runner=tasks)
        return await World.make(database, tasks, bus=bus), tasks

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one step."""
        return self._runner.run(work)

    def close(self) -> None:
        """Stop everything."""
        self.run(self.world.close())
        self.run(self.tasks.stop(budget=20))
        self._runner.close()


class SessionMachine(RuleBasedStateMachine):
    """One mitra with two slots, and whatever people, providers and time may do to her sessions."""

    loop: Loop

    def __init__(self) -> None:
        super().__init__()
        self.world = self.loop.world
        self.mitra = self.loop.run(self.world.mitra(capacity=2))
        self.sessions: list[UUID] = []
        self.orders: list[str] = []
        self.version = 0

    def _try(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do it; a typed refusal is as good an outcome as any."""
        try:
            return self.loop.run(work)
        except errors.ChatError:
            return None

    def _story(self, pick: int) -> Story | None:
        if not self.sessions:
            return None
        return self.loop.run(self.world.story(self.sessions[pick % len(self.sessions)]))

    # --- what may happen -------------------------------------------------------------------

    @rule()
    def accept(self) -> None:
        """She accepts a request."""

        async def work() -> UUID | None:
            found: UUID | None = (
                await self.world.open(self.mitra, *await self.world.request(self.mitra))
            )["session_id"]
            return found

        if (session_id := self.loop.run(work())) is not None:
            self.sessions.append(session_id)

    @rule(pick=_PICK)
    def start_payment(self, pick: int) -> None:
        """The customer opens the checkout page of the session or of its extension."""
        if (story := self._story(pick)) is None:
            return
        session = story.session
        extension_id = session.open_extension_id
        view = self._try(self.world.payments.start(session.id, session.customer_id, extension_id))
        if view is not None:
            self.orders.append(view.order_id)

    @rule(pick=_PICK, verdict=st.sampled_from(["paid", "paid", "paid", "failed", "expired"]))
    def word(self, pick: int, verdict: Any) -> None:
        """The provider says something, maybe again, maybe late."""
        if self.orders:
            order_id = self.orders[pick % len(self.orders)]
            self._try(self.world.word(order_id, verdict))

    @rule(pick=_PICK, role=_ROLES)
    def say(self, pick: int, role: str) -> None:
        """Somebody writes."""
        if (story := self._story(pick)) is not None:
            self._try(self.world.say(story, getattr(story.session, f"{role}_id"), "halo"))

    @rule(pick=_PICK, role=_ROLES)
    def end(self, pick: int, role: str) -> None:
        """Somebody ends."""
        if (story := self._story(pick)) is not None:
            user_id = getattr(story.session, f"{role}_id")
            self._try(self.world.sessions.end(story.session.id, user_id))

    @rule(pick=_PICK)
    def ask(self, pick: int) -> None:
        """The customer asks for more time."""
        if (story := self._story(pick)) is not None:
            session = story.session
            self._try(self.world.extensions.ask(session.id, session.customer_id, "test-1"))

    @rule(pick=_PICK, word=st.sampled_from(["accept", "accept", "decline"]))
    def answer(self, pick: int, word: str) -> None:
        """She answers."""
        story = self._story(pick)
        if story is not None and story.session.open_extension_id is not None:
            act = getattr(self.world.extensions, word)
            self._try(act(story.session.id, story.session.open_extension_id, self.mitra))

    @rule(pick=_PICK, deadline=st.sampled_from(_DEADLINES))
    def time_passes(self, pick: int, deadline: str) -> None:
        """A deadline of a session comes."""
        story = self._story(pick)
        if story is not None and getattr(story.session, deadline) is not None:
            if story.session.state in ("completed", "cancelled", "rerouted"):
                return
            self.loop.run(self.world.let_pass(story.session.id, deadline))

    @rule(pick=_PICK, deadline=st.sampled_from(["answer_by", "pay_by"]))
    def extension_time_passes(self, pick: int, deadline: str) -> None:
        """A deadline of an extension comes."""
        story = self._story(pick)
        extension = None if story is None else story.extension
        if extension is not None and getattr(extension, deadline) is not None:
            self.loop.run(self.world.let_extension_pass(extension.id, deadline))

    @rule()
    def sweep(self) -> None:
        """Somebody sweeps: afterwards nothing is due."""
        self.loop.run(self.world.deadlines.settle_due())
        assert self.loop.run(self.world.store.due(10)) == []

    @rule()
    def refund(self) -> None:
        """The refund job runs."""
        self.loop.run(self.world.payments.give_back_due())

    @rule(is_there=st.booleans())
    def presence(self, is_there: bool) -> None:  # noqa: FBT001 - drawn
        """She gives a sign of life, or her last socket closes."""

        async def work() -> None:
            self.world.attendance.saw(self.mitra)
            await self.world.attendance.write_down()
            if not is_there:
                await self.world.attendance.left(self.mitra)

        self.loop.run(work())

    @rule(capacity=st.integers(1, 3))
    def capacity(self, capacity: int) -> None:
        """An operator changes her capacity."""
        self._try(self.world.control.set_capacity(self.mitra, self.mitra, capacity))

    # --- what must hold --------------------------------------------------------------------

    @invariant()
    def the_load_is_sound(self) -> None:
        """Slots are distinct, the load counts them, and its version never goes back."""
        self.loop.run(self._check_load())

    @invariant()
    def each_session_is_sound(self) -> None:
        """The last event fits the state, versions grow, seqs have no gap, money adds up."""
        for session_id in self.sessions:
            self.loop.run(self._check_session(session_id))

    async def _check_load(self) -> None:
        rows = await self.world.admin.fetch(
            "SELECT slot FROM chat.sessions WHERE mitra_id = $1 AND slot IS NOT NULL", self.mitra
        )
        slots = [row["slot"] for row in rows]
        load, version = await self.world.load(self.mitra)
        assert len(slots) == len(set(slots)) == load
        assert version >= self.version
        self.version = version

    async def _check_session(self, session_id: UUID) -> None:
        told = await self.world.admin.fetch(
            "SELECT subject, (body->>'version')::int AS version FROM chat.outbox"
            " WHERE body->>'session_id' = $1::text ORDER BY position",
            str(session_id),
        )
        versions = [row["version"] for row in told]
        assert versions == sorted(set(versions))
        story = await self.world.story(session_id)
        assert told[-1]["subject"].split(".")[2] in _LAST_EVENT[story.session.state]
        messages = await self.world.store.read_messages(session_id, after_seq=0, limit=200)
        assert [message.seq for message in messages] == list(range(1, story.last_seq + 1))
        for payment in await self.world.store.session_payments(session_id):
            booked = await self.world.ledger(payment)
            owed = payment.amount_idr - (payment.refund_idr or 0)
            assert booked == {
                "paid": payment.amount_idr,
                "refund_due": payment.amount_idr,
                "refunded": owed,
            }.get(payment.state, 0)


@pytest.mark.req("CH-01", "CH-03", "CH-04", "CH-06", "CH-11")
def test_random_histories(database: TestDatabase) -> None:
    """Random histories leave sound rows after every step."""
    outcome: list[BaseException] = []

    def run() -> None:
        loop = Loop(database)
        SessionMachine.loop = loop
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]  # untyped in hypothesis
                SessionMachine,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            outcome.append(error)
        finally:
            loop.close()

    # A thread of its own: the test session's event loop stays untouched.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if outcome:
        raise outcome[0]
