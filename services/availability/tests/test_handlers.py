"""Loads are read together, and two who turn the switch at once are told; no server."""

from typing import cast

import pytest
from services.availability.tests.fakes import (
    FakeHours,
    FakeLoads,
    FakeVersions,
)

from availability.domain import Maintenance
from availability.errors import ConfigConflict
from availability.handlers import Loads, ServiceDesk
from common.db import Unavailable
from common.ids import new_id
from mirror.plan import ServicePlan


def loads_of(fake: FakeLoads) -> Loads:
    """Wire the handler."""
    return Loads(store=fake, mirroring=fake, changed=lambda: None)


@pytest.mark.req("AV-10")
async def test_many_mitras_are_one_statement() -> None:
    """All whose load may have changed are read at once, and the mirror is told of all."""
    fake, mitras = FakeLoads(), {new_id() for _ in range(200)}
    await loads_of(fake).changed(mitras)

    assert fake.statements == [mitras]
    assert {load.mitra_id for load in fake.told} == mitras


async def test_an_event_fails_when_postgres_is_away_and_the_next_works() -> None:
    """Not acknowledged, so it comes again; nothing is stuck behind it."""
    fake = FakeLoads()
    loads = loads_of(fake)
    fake.down = True
    with pytest.raises(Unavailable):
        await loads.changed([new_id()])
    fake.down = False
    await loads.changed([new_id()])

    assert len(fake.told) == 1


@pytest.mark.req("AV-16")
async def test_the_switch_needs_no_version_but_keeps_to_one_that_is_given() -> None:
    """Somebody decides in the same moment: who expects nothing tries again, who does is told."""
    versions, looked = FakeVersions(), []
    desk = ServiceDesk(
        versions=versions,
        plan=cast("ServicePlan", FakeHours()),
        changed=lambda: looked.append("beacon"),
    )
    versions.rivals = 3
    decided = await desk.set_maintenance(Maintenance(on=True), expected=None, by=new_id())
    assert (decided.version.version, decided.version.maintenance.on) == (5, True)
    assert looked == ["beacon"]

    versions.rivals = 1
    with pytest.raises(ConfigConflict) as refusal:
        await desk.set_maintenance(Maintenance(on=False), expected=5, by=new_id())
    assert refusal.value.fields() == {"version": 6}
    versions.rivals = 100
    with pytest.raises(ConfigConflict):
        await desk.set_maintenance(Maintenance(on=False), expected=None, by=new_id())
