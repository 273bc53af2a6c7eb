"""Promises of the sweeper's decisions: pure functions, no I/O."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.domain import (
    Brake,
    Ledger,
    Picture,
    Plan,
    Shard,
    Stale,
    Swept,
    belongs,
    chunks,
    fair_share,
    judge,
    surplus,
    too_many,
)

# How long an example takes says nothing here.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def stale(count: int, *, first: int = 0) -> tuple[Stale, ...]:
    """Return some stale mitras."""
    return tuple(
        Stale(mitra_id=UUID(int=n), status_version=1, seen_at_ms=1000)
        for n in range(first, first + count)
    )


def picture(gone: int, *, online: int, fresh: int | None = None) -> Picture:
    """Return what the mirror shows, everybody else fresh unless said otherwise."""
    fresh = online - gone if fresh is None else fresh
    return Picture(stale=stale(gone), candidates=gone, online=online, fresh=fresh)


@pytest.mark.req("SW-01")
@pytest.mark.parametrize(
    ("gone", "online", "stopped"),
    [(0, 0, False), (4, 4, False), (5, 8, True), (5, 50, False), (6, 50, True), (101, 1000, True)],
)
def test_brake_limit(gone: int, online: int, *, stopped: bool) -> None:
    """More than ten percent of the online mitras, five or more, are too many for one pass."""
    assert stopped is too_many(gone, online=online)


@pytest.mark.req("SW-01")
def test_few_go() -> None:
    """A few stale mitras are taken offline at once."""
    seen = picture(2, online=100)

    assert seen.stale == judge(seen, None).go


@pytest.mark.req("SW-01")
def test_first_large_pass_stops() -> None:
    """A large pass stops, touches nobody and raises the brake."""
    verdict = judge(picture(50, online=100), None)

    assert verdict.go == ()
    assert verdict.raise_brake
    assert verdict.skipped == "brake"


@pytest.mark.req("SW-01")
def test_second_pass_confirms() -> None:
    """The pass after confirms those that the first one named, and nobody new."""
    brake = Brake(mitra_ids=frozenset(one.mitra_id for one in stale(40)), confirmed=False)
    seen = picture(50, online=100)

    assert seen.stale[:40] == judge(seen, brake).go


@pytest.mark.req("SW-01")
def test_no_confirmation_without_fresh_majority() -> None:
    """While fewer than half of the online mitras are fresh no pass confirms itself."""
    brake = Brake(mitra_ids=frozenset(one.mitra_id for one in stale(60)), confirmed=False)
    verdict = judge(picture(60, online=100), brake)

    assert verdict.go == ()
    assert verdict.raise_brake


@pytest.mark.req("SW-01")
@pytest.mark.parametrize("online", [2, 4])
def test_few_of_whom_nobody_is_heard_wait_for_a_word(online: int) -> None:
    """The way to us may be cut: a beat of anybody, or an operator, ends the doubt."""
    unheard = picture(online, online=online)
    brake = Brake(mitra_ids=frozenset(one.mitra_id for one in unheard.stale), confirmed=False)
    heard = picture(online - 1, online=online)

    assert judge(unheard, None).raise_brake
    assert judge(unheard, brake).raise_brake
    assert judge(unheard, replace(brake, confirmed=True)).go == unheard.stale
    assert judge(heard, brake).go == heard.stale


@pytest.mark.req("SW-01")
def test_who_is_deactivated_is_nobody_to_hear() -> None:
    """She can never beat: neither she nor one silent mitra beside her is a silence of everybody."""
    barred = tuple(replace(one, seen_at_ms=0) for one in stale(2, first=10))
    two = Picture(stale=barred, candidates=2, online=2, fresh=0)
    beside = Picture(stale=(*barred[:1], *stale(1)), candidates=2, online=2, fresh=0)

    assert judge(two, None).go == two.stale
    assert judge(beside, None).go == beside.stale
    assert judge(replace(beside, stale=(*barred[:1], *stale(2)), online=3), None).raise_brake


@pytest.mark.req("SW-01")
def test_the_only_one_goes_by_her_own_silence() -> None:
    """Of one alone nobody can tell: an app that is told so comes back by a tap."""
    alone = picture(1, online=1)

    assert judge(alone, None).go == alone.stale


@pytest.mark.req("SW-01")
def test_operator_confirms() -> None:
    """An operator's word counts where the beats say nothing."""
    brake = Brake(mitra_ids=frozenset(one.mitra_id for one in stale(60)), confirmed=True)
    seen = picture(60, online=100, fresh=0)

    assert seen.stale == judge(seen, brake).go


@pytest.mark.req("SW-01")
@patient
@given(gone=st.integers(0, 300), others=st.integers(0, 300), braked=st.booleans())
def test_nobody_goes_in_doubt(gone: int, others: int, *, braked: bool) -> None:
    """Whatever the numbers, a large pass without a fresh majority takes nobody offline."""
    seen = picture(gone, online=gone + others, fresh=min(others, (gone + others - 1) // 2))
    brake = Brake(mitra_ids=frozenset(one.mitra_id for one in seen.stale), confirmed=False)
    verdict = judge(seen, brake if braked else None)

    assert not too_many(len(verdict.go), online=seen.online)


@pytest.mark.req("SW-05")
@patient
@given(shards=st.integers(1, 200), replicas=st.integers(1, 20))
def test_shares_cover_everything(shards: int, replicas: int) -> None:
    """Fair shares together hold every shard, and nobody's is larger by more than one."""
    share = fair_share(shards, replicas)

    assert share * replicas >= shards
    assert (share - 1) * replicas < shards


@pytest.mark.req("SW-05")
def test_surplus_spares_the_busy() -> None:
    """A shard that is being driven is never given back."""
    held = [Shard("a", n) for n in range(4)]

    assert (Shard("a", 1), Shard("a", 2)) == surplus(held, share=2, busy=[Shard("a", 0)])


@pytest.mark.req("SW-05")
@patient
@given(id_=st.uuids(), shards=st.integers(1, 16))
def test_every_id_has_one_shard(id_: UUID, shards: int) -> None:
    """Each id falls to exactly one shard."""
    owners = [n for n in range(shards) if belongs(id_, shard=n, shards=shards)]

    assert len(owners) == 1


def test_chunks_lose_nothing() -> None:
    """Bites keep order and completeness."""
    assert [list(bite) for bite in chunks(range(5), 2)] == [[0, 1], [2, 3], [4]]


def test_ledger_tells_a_change_at_once() -> None:
    """A new skip reason is told at once, the same one not again, its end again."""
    ledger = Ledger()
    seen = [
        ledger.note(swept, now=at, every=5)
        for at, swept in enumerate(
            [Swept(), Swept.nothing("away"), Swept.nothing("away"), Swept(), Swept()]
        )
    ]

    assert [None, Swept.nothing("away"), None, Swept(), None] == seen


def test_ledger_gathers_counts() -> None:
    """Counts of a busy sweep are told together, none is lost."""
    ledger = Ledger()
    told = [ledger.note(Swept(count=1), now=at, every=5) for at in range(11)]

    assert [one.count for one in told if one] == [1, 5, 5]


def test_plan_names_each_shard() -> None:
    """The plan lists every shard of every sweep."""
    plan = Plan(cadences={"a": 1.0, "b": 2.0}, shards={"b": 2})

    assert (Shard("a", 0), Shard("b", 0), Shard("b", 1)) == plan.all()
