"""How the mirror is, and since when: what operators see of it."""

import pytest
from libs.mirror.tests.stage import Stage, configured

from common.clock import SystemClock
from mirror import Limits, open_mirror


@pytest.mark.req("AV-08", "AV-15")
async def test_the_state_follows_the_mirror(stage: Stage) -> None:
    """Seeded: ok; emptied: seeding; seeded again: ok, each since its own moment."""
    watch = stage.kit.watch
    await watch.look()
    first = stage.kit.state()
    assert (first.state, first.reason) == ("ok", None)
    await stage.raw.flushall()
    await watch.look()
    emptied = stage.kit.state()
    assert (emptied.state, emptied.reason) == ("seeding", "it was never seeded")
    assert emptied.since >= first.since
    await watch.look()
    assert stage.kit.state() is emptied
    await stage.kit.seeder.mend()
    await watch.look()

    assert stage.kit.state().state == "ok"
    assert stage.kit.state().since >= emptied.since


async def test_without_a_valkey_the_mirror_is_away(stage: Stage) -> None:
    """No address: Postgres answers, and the state says why."""
    kit = await open_mirror(None, stage.db, stage.runner, SystemClock(), Limits())

    assert (kit.state().state, kit.state().reason) == ("away", "no Valkey is configured")
    assert (await kit.presence.counts()).source == "postgres"


@pytest.mark.req("AV-08", "AU-08")
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "noeviction"])
async def test_whatever_may_evict_a_key_of_ours_is_told(stage: Stage, policy: str) -> None:
    """The mirror's keys live until they are erased; those of ended logins expire, and count too."""
    async with configured(stage, "maxmemory-policy", policy):
        await stage.kit.watch.look()
    advice = stage.kit.state().advice

    assert (advice is None) == (policy == "noeviction")
    assert policy in (advice or policy)
