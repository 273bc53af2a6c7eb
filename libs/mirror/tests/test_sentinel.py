"""What answers must prove that it is a mirror; if it cannot, Postgres answers."""

import pytest
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import MirrorUnavailable
from mirror.sentinel import Sentinel, parse, write
from mirror.values import Limits, Seed

SEED = Seed(2, 3, "a-seeding", "a-process", 1000, 2000)
HASTY = Limits(heartbeat_seconds=0.4, fresh_seconds=5.7, auto_offline_seconds=6.1)


def test_a_sentinel_survives_writing_and_reading() -> None:
    """What was written is read back."""
    assert parse(write(SEED).encode()) == SEED


@pytest.mark.parametrize(
    "raw", [b"", b"2 3 a-seeding a-process 1000", b"x y z", b"\xff\xfe", b"1 3 s a-process 1 1"]
)
def test_whatever_else_is_no_sentinel(raw: bytes) -> None:
    """Another layout and plain rubbish are refused, without another error."""
    with pytest.raises(MirrorUnavailable):
        Sentinel().check(raw, run_id="a-process")


def test_another_process_or_an_older_history_is_no_mirror() -> None:
    """Old data in a restarted server, a replica that took over, a restored Postgres: seed again."""
    sentinel = Sentinel()
    sentinel.check(write(SEED).encode(), run_id="a-process")
    with pytest.raises(MirrorUnavailable, match="another server process"):
        sentinel.check(write(SEED).encode(), run_id="another")
    sentinel.expect(4)
    with pytest.raises(MirrorUnavailable, match="older history"):
        sentinel.check(write(SEED).encode(), run_id="a-process")


@pytest.mark.req("AV-07", "AV-08")
async def test_an_empty_valkey_never_says_that_nobody_is_there(stage: Stage) -> None:
    """FLUSHALL: every answer comes from Postgres at once, and is right."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.raw.flushall()

    with pytest.raises(MirrorUnavailable):
        await stage.kit.mirror.counts()
    counts = await stage.kit.presence.counts()
    assert (counts.available, counts.source) == (1, "postgres")
    assert await stage.kit.presence.find_available(3) == [mitra]
    assert (await stage.kit.presence.is_reachable([mitra]))[mitra].available


@pytest.mark.req("AV-08", "AV-09")
async def test_an_emptied_mirror_is_mended(stage: Stage) -> None:
    """One look says why, one reseed later it is a mirror again."""
    await stage.world.mitra()
    await stage.raw.flushall()
    assert await stage.kit.seeder.trouble() == "it was never seeded"
    seeded = await stage.kit.seeder.mend()

    assert seeded is not None
    assert seeded.mitras == 1
    assert (await stage.kit.presence.counts()).source == "mirror"
    assert await stage.kit.seeder.mend() is None


@pytest.mark.req("AV-09")
async def test_a_new_history_of_postgres_is_seeded_anew(stage: Stage) -> None:
    """After the epoch bump the mirror of the old history is not believed and soon replaced."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.world.new_history()
    await stage.kit.seeder.reconcile()
    assert (await stage.kit.presence.counts()).source == "postgres"
    assert await stage.kit.seeder.mend() is not None

    assert (await stage.kit.presence.counts()).source == "mirror"
    assert (await stage.kit.mirror.is_reachable([mitra]))[mitra].available


@pytest.mark.req("SW-01")
async def test_after_a_seeding_nobody_is_believed_to_be_stale_for_a_while(stage: Stage) -> None:
    """A young mirror is in grace; a reseed of a good one starts no new grace."""
    await stage.world.mitra(beat_age=100)
    await stage.raw.flushall()
    await stage.kit.seeder.mend()
    page = await stage.kit.mirror.stale()
    assert page.in_grace
    assert len(page.mitras) == 1
    assert 20_000 < page.grace_until_ms - page.now_ms <= 65_000
    await stage.kit.seeder.reseed("test")

    assert (await stage.kit.mirror.stale()).grace_until_ms == page.grace_until_ms


@pytest.mark.req("SW-01")
async def test_a_silence_of_everybody_starts_the_grace_anew(stage: Stage) -> None:
    """When beats come back after a gap, whoever could not get through has time to follow."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    seed = parse(await stage.raw.get("{mitras}:seed"))
    long_ago = Seed(
        seed.schema, seed.pg_epoch, seed.seeding_id, seed.run_id, seed.since_ms - 10**6, 0
    )
    await stage.raw.set("{mitras}:seed", write(long_ago))
    assert not (await stage.kit.mirror.stale()).in_grace
    now = int((await stage.raw.time())[0]) * 1000
    await stage.raw.zadd("{mitras}:online", {str(mitra): now - 40_000})

    assert (await stage.kit.mirror.stale()).in_grace, "the silence goes on"
    await stage.kit.beats.beat(mitra)
    page = await stage.kit.mirror.stale()
    assert page.in_grace
    # While the silence went on these were 50 s, and fewer with each moment.
    assert page.grace_until_ms - page.now_ms > 51_000


async def test_someone_whom_a_fact_is_missing_of_has_no_status(stage: Stage) -> None:
    """The mirror does not guess: who is not known to it completely is looked up in Postgres."""
    assert await stage.kit.mirror.status(new_id()) is None


@pytest.mark.req("SW-01")
@pytest.mark.parametrize("limits", [Limits(), HASTY, Limits(heartbeat_seconds=2)])
def test_a_silence_of_everybody_is_known_before_it_can_cost_anyone(limits: Limits) -> None:
    """Whoever beat last but one would else be taken offline alone, below what the brake minds."""
    assert limits.heartbeat_seconds * 1000 < limits.gap_ms
    assert limits.gap_ms + limits.heartbeat_seconds * 1000 < limits.auto_offline_ms
