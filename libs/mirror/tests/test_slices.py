"""No command holds Valkey for long: many facts leave in slices."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import LoadFact, Stamp
from mirror.facts import slices
from mirror.mirror import _SLICE


def fact(mitra: UUID, version: int = 2) -> LoadFact:
    """Make any fact."""
    return LoadFact(mitra, Stamp(1, version), 1, 3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 3), max_size=40), st.integers(3, 9))
def test_nothing_is_lost_and_nobody_is_cut_in_two(counts: list[int], size: int) -> None:
    """Each slice is as long as it may be, in the order in which the facts came."""
    mitras = [UUID(int=number) for number, _ in enumerate(counts)]
    facts = [fact(one) for one, count in zip(mitras, counts, strict=True) for _ in range(count)]
    cut = list(slices(facts, size))
    whom = [list(dict.fromkeys(one.mitra_id for one in part)) for part in cut]

    assert [one for part in cut for one in part] == facts
    assert [one for part in whom for one in part] == mitras
    assert all(1 <= len(part) <= size for part in cut)
    for part, following in pairwise(cut):
        assert len(part) + counts[following[0].mitra_id.int] > size


@pytest.mark.req("AV-10")
async def test_a_recompute_of_many_loads_is_many_short_commands(stage: Stage) -> None:
    """Five commands for four slices and one more; nobody's load is lost between them."""
    await stage.raw.config_resetstat()
    many = [fact(new_id()) for _ in range(4 * _SLICE + 1)]
    applied = await stage.kit.mirror.apply(many)
    commands = await stage.raw.info("commandstats")

    assert applied.newer == len(many)
    assert commands["cmdstat_evalsha"]["calls"] == 5
