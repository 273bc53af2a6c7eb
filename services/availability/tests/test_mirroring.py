"""What was committed reaches the mirror, however its writing or its answer was disturbed."""

import asyncio
from collections.abc import Collection
from typing import cast
from uuid import UUID

import pytest

from availability.domain import Change, Stale
from availability.handlers import Statuses
from availability.ports import Store
from availability.providers import MirrorWriter
from common.db import CommitUnknown, Unavailable
from common.ids import new_id
from mirror import Beats, LoadFact, Mirror, MirrorUnavailable, Seeder, Stamp


class World:
    """A truth, and a mirror that is healed from it with a read and a write apart."""

    def __init__(self) -> None:
        self.truth: dict[UUID, str] = {}
        self.mirror: dict[UUID, str] = {}
        self.away: Exception | None = None
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def heal(self, mitra_ids: Collection[UUID]) -> None:
        """Read these, then write them."""
        if self.away is not None:
            raise self.away
        rows = {mitra_id: self.truth[mitra_id] for mitra_id in mitra_ids}
        self.read.set()
        await self.go_on.wait()
        self.mirror.update(rows)

    async def apply(self, _loads: object) -> None:
        """Write loads."""
        if self.away is not None:
            raise self.away

    def writer(self) -> MirrorWriter:
        """Return what brings changes over."""
        return MirrorWriter(mirror=cast("Mirror", self), seeder=cast("Seeder", self))


class Disturbed:
    """A store that commits, and whose answer is lost or comes too late."""

    def __init__(self, world: World, *errors: BaseException | None) -> None:
        self._world = world
        self._errors = list(errors)

    async def _act(self, *mitra_ids: UUID) -> Change:
        self._world.truth |= dict.fromkeys(mitra_ids, "offline")
        if (error := self._errors.pop(0)) is not None:
            raise error
        return Change(mitra_ids[0], 2, changed=True)

    async def go_online(self, mitra_id: UUID, *, login_id: UUID) -> Change:
        """Commit."""
        del login_id
        return await self._act(mitra_id)

    async def go_offline(self, mitra_id: UUID, *, reason: str) -> Change:
        """Commit."""
        del reason
        return await self._act(mitra_id)

    async def leave(self, mitra_id: UUID, *, login_id: UUID, event_id: UUID) -> Change:
        """Commit."""
        del login_id, event_id
        return await self._act(mitra_id)

    async def settle_deactivated(self, mitra_id: UUID) -> Change:
        """Commit."""
        return await self._act(mitra_id)

    async def mark_stale_offline(self, items: list[Stale], *, fence: int) -> list[Change]:
        """Commit."""
        del fence
        return [await self._act(*(item.mitra_id for item in items))]


class Unheard:
    """A mirror to which nobody beat since the sweep looked."""

    async def last_beats(self, mitra_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return when each beat."""
        return dict.fromkeys(mitra_ids, 1)


def statuses(world: World, writer: MirrorWriter, *errors: BaseException | None) -> Statuses:
    """Return the handlers over such a store."""
    return Statuses(
        store=cast("Store", Disturbed(world, *errors)),
        mirroring=writer,
        mirror=cast("Mirror", Unheard()),
        beats=cast("Beats", None),
        changed=lambda: None,
    )


@pytest.mark.req("AV-01")
async def test_a_change_while_an_older_debt_is_paid_is_still_owed() -> None:
    """What was read for the debt is older than the change, which could not be written itself."""
    world, mitra = World(), new_id()
    writer = world.writer()
    world.truth[mitra], world.away = "online", Unavailable("no connection was free")
    await writer.show([mitra])
    world.away = None
    world.go_on.clear()
    paying = asyncio.create_task(writer.settle_debts())
    await world.read.wait()

    world.truth[mitra], world.away = "offline", Unavailable("no connection was free")
    await writer.show([mitra])
    world.away = None
    world.go_on.set()

    assert await paying == 0
    assert world.mirror == {mitra: "offline"}


@pytest.mark.req("AV-01", "AV-10")
async def test_a_load_while_an_older_debt_is_paid_is_still_owed() -> None:
    """The same for a load that Valkey refused."""
    world, mitra = World(), new_id()
    writer = world.writer()
    world.truth[mitra], world.away = "2/3", MirrorUnavailable("away")
    loads = [LoadFact(mitra, Stamp(1, 2), 2, 3)]
    await writer.show_loads(loads)
    world.away = None
    world.go_on.clear()
    paying = asyncio.create_task(writer.settle_debts())
    await world.read.wait()

    world.truth[mitra], world.away = "3/3", MirrorUnavailable("away")
    await writer.show_loads(loads)
    world.away = None
    world.go_on.set()

    assert await paying == 0
    assert world.mirror == {mitra: "3/3"}


@pytest.mark.req("AV-01")
async def test_who_is_stopped_while_writing_leaves_a_debt() -> None:
    """The caller's time was over: the mirror learns it all the same."""
    world, mitra = World(), new_id()
    writer = world.writer()
    world.truth[mitra] = "offline"
    world.go_on.clear()
    showing = asyncio.create_task(writer.show([mitra]))
    await world.read.wait()
    showing.cancel()
    await asyncio.wait([showing])
    world.go_on.set()

    assert await writer.settle_debts() == 0
    assert world.mirror == {mitra: "offline"}


LOST = [CommitUnknown("the answer to COMMIT was lost"), asyncio.CancelledError()]


@pytest.mark.req("AV-01")
@pytest.mark.parametrize("lost", LOST, ids=["unknown", "cancelled"])
@pytest.mark.parametrize("act", ["go_online", "go_offline", "logout", "activity", "due", "mark"])
async def test_a_lost_answer_to_a_commit_is_a_debt(act: str, lost: BaseException) -> None:
    """She may be offline in Postgres by now: nobody is offered her until a reconcile finds out."""
    world, mitra = World(), new_id()
    writer = world.writer()
    handlers = statuses(world, writer, lost)
    acts = {
        "go_online": lambda: handlers.go_online(mitra, login_id=new_id()),
        "go_offline": lambda: handlers.go_offline(mitra, reason="self"),
        "logout": lambda: handlers.logged_out(mitra, login_id=new_id(), event_id=new_id()),
        "activity": lambda: handlers.activity_changed(mitra),
        "due": lambda: handlers.settle_deactivated([mitra]),
        "mark": lambda: handlers.mark_offline([Stale(mitra, 1, 1)], fence=1),
    }
    with pytest.raises(type(lost)):
        await acts[act]()

    assert await writer.settle_debts() == 0
    assert world.mirror == {mitra: "offline"}


@pytest.mark.req("AV-01")
async def test_who_was_settled_before_another_failed_is_shown() -> None:
    """The third of three fails: the two before her are committed."""
    world, mitras = World(), [new_id() for _ in range(3)]
    writer = world.writer()
    handlers = statuses(world, writer, None, None, Unavailable("her row is locked"))

    with pytest.raises(Unavailable):
        await handlers.settle_deactivated(mitras)

    assert world.mirror == dict.fromkeys(mitras[:2], "offline")
