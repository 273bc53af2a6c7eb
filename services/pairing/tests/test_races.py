"""Races that Postgres settles; `test_mutants.py` shows them lost without the guards."""

import asyncio
from uuid import UUID

import pytest
from services.pairing.tests.world import World, all_of

from common.bus import Event
from common.db import Transaction
from pairing import errors
from pairing.domain import Accepted

ROUNDS = 6
CROWD = 50


def winners(outcomes: list[object]) -> list[Accepted]:
    """The outcomes that won."""
    return [one for one in outcomes if isinstance(one, Accepted)]


def unexpected(outcomes: list[object]) -> list[object]:
    """Outcomes that are neither a win, nor a loss, nor a typed refusal."""
    return [
        one
        for one in outcomes
        if one is not None and not isinstance(one, Accepted | errors.PairingError)
    ]


@pytest.mark.req("PA-03")
@pytest.mark.parametrize("round_no", range(ROUNDS))
async def test_fifty_accept_one_wins(world: World, round_no: int) -> None:
    """Of fifty mitras who accept at once without any gate before Postgres, one wins."""
    mitras = await world.mitras(CROWD)
    world.rings._settings = world.settings.model_copy(update={"ring_size": CROWD})
    request, blast = await world.offered(*mitras)
    assert len(blast.offers) == CROWD

    outcomes = await all_of(
        *(_patiently(world, offer.id, offer.mitra_id) for offer in blast.offers)
    )

    assert unexpected(outcomes) == []
    (winner,) = winners(outcomes)
    sessions = await world.admin.fetch(
        "SELECT id, mitra_id FROM chat.sessions WHERE request_id = $1", request.id
    )
    assert [(winner.session_id, winner.mitra_id)] == [tuple(row) for row in sessions]
    states = await world.offer_states(request.id)
    assert states == ["accepted"] + ["withdrawn"] * (CROWD - 1)
    assert len(await world.events("evt.pairing.request_matched.v1")) == 1


async def _patiently(world: World, offer_id: UUID, mitra_id: UUID) -> Accepted | None:
    """Claim; a pool that is exhausted for a moment is not what is tested here."""
    async with _PLACES:
        return await world.offers.claim(offer_id, mitra_id)


_PLACES = asyncio.Semaphore(10)


@pytest.mark.req("PA-03")
@pytest.mark.parametrize("capacity", [1, 3])
async def test_a_mitra_never_exceeds_her_capacity(world: World, capacity: int) -> None:
    """A mitra who accepts ten offers at once gets as many sessions as she has slots."""
    mitra = await world.mitra(capacity=capacity)
    world.rings._settings = world.settings.model_copy(update={"spare_offers": 20})
    offers = [(await world.offered(mitra))[1].offers[0] for _ in range(10)]

    outcomes = await all_of(*(world.offers.claim(offer.id, mitra) for offer in offers))

    assert unexpected(outcomes) == []
    assert capacity == len(winners(outcomes))
    assert 10 - capacity == sum(isinstance(one, errors.MitraFull) for one in outcomes)
    assert capacity == await world.load(mitra)
    searching = await world.admin.fetchval(
        "SELECT count(*) FROM pairing.requests WHERE state = 'searching'"
    )
    assert 10 - capacity == searching


@pytest.mark.req("PA-03", "PA-04")
async def test_accept_against_cancel(world: World) -> None:
    """Accept and cancel at once: one of them wins, and nothing is left half done."""
    for _ in range(8):
        mitra = await world.mitra()
        request, blast = await world.offered(mitra)

        accepted, ended = await all_of(
            world.offers.claim(blast.offers[0].id, mitra),
            world.requests.cancel_request(request.id, request.customer_id),
        )

        assert (accepted is None) != (ended is None)
        found = await world.requests.request(request.id)
        assert found is not None
        expected = ("cancelled", ["withdrawn"], 0) if ended else ("matched", ["accepted"], 1)
        states = await world.offer_states(request.id)
        assert expected == (found.state, states, await world.load(mitra))


@pytest.mark.req("PA-03", "PA-04")
async def test_accept_against_expiry(world: World) -> None:
    """Accept and the end of the wait at once: one of them wins."""
    for _ in range(8):
        mitra = await world.mitra()
        request, blast = await world.offered(mitra)
        await world.admin.execute(
            "UPDATE pairing.requests SET wait_until = clock_timestamp() + interval '3 ms'"
            " WHERE id = $1",
            request.id,
        )

        outcomes = await all_of(
            world.offers.claim(blast.offers[0].id, mitra),
            *(world.requests.expire_requests([request.id]) for _ in range(5)),
        )
        ended = await world.requests.expire_requests([request.id])

        found = await world.requests.request(request.id)
        assert found is not None
        assert [one for one in outcomes if isinstance(one, BaseException)] == []
        told = sum(len(one) for one in [*outcomes[1:], ended])
        assert (found.state, told) in {("matched", 0), ("expired", 1)}


@pytest.mark.req("PA-04", "SW-04")
async def test_each_deadline_is_met_once(world: World) -> None:
    """Three tickers over the same due rows end each request and each offer exactly once."""
    mitras = await world.mitras(3)
    world.rings._settings = world.settings.model_copy(update={"spare_offers": 200})
    ids = []
    for _ in range(40):
        request, _ = await world.offered(*mitras)
        ids.append(request.id)
    offers = [
        row["id"] for row in await world.admin.fetch("SELECT id FROM pairing.offers ORDER BY id")
    ]
    await world.let_offers_pass(*ids)

    expired = await all_of(*(world.offers.expire_offers(offers) for _ in range(3)))
    rest = await world.offers.expire_offers(offers)

    seen = [one.offer_id for group in [*expired, rest] for one in group]
    assert sorted(offers) == sorted(seen)

    await world.let_wait_pass(*ids)
    ended = await all_of(*(world.requests.expire_requests(ids) for _ in range(3)))
    rest_ended = await world.requests.expire_requests(ids)

    told = [one.request.id for group in [*ended, rest_ended] for one in group]
    assert sorted(ids) == sorted(told)
    assert len(ids) == len(await world.events("evt.pairing.request_expired.v1"))


@pytest.mark.req("PA-02")
async def test_a_ring_is_sent_once(world: World) -> None:
    """Ten tickers that find the same ring due write its offers once."""
    mitras = await world.mitras(5)
    request = await world.request()
    search = await world.rings.search(request.id)
    assert search is not None

    blasts = await all_of(*(world.rings.place(search, mitras) for _ in range(10)))

    assert sum(one is not None and bool(one.offers) for one in blasts) == 1
    assert await world.offer_states(request.id) == ["open"] * 5
    assert len(await world.events("evt.pairing.offers_sent.v1")) == 1


@pytest.mark.req("PA-02")
async def test_open_offers_of_a_mitra_are_bounded(world: World) -> None:
    """Twelve rings at once leave a mitra with at most her free slots + 2 open offers."""
    mitra = await world.mitra(capacity=2)
    requests = [await world.request() for _ in range(12)]
    searches = [await world.rings.search(request.id) for request in requests]

    async def place(search: object) -> object:
        async with _PLACES:
            return await world.rings.place(search, [mitra])  # type: ignore[arg-type]

    outcomes = await all_of(*(place(search) for search in searches))

    assert [one for one in outcomes if isinstance(one, BaseException)] == []
    open_offers = await world.offers.open_offers(mitra)
    assert len(open_offers) == 4
    verdicts = await world.admin.fetch(
        "SELECT verdict, count(*) AS times FROM pairing.decisions GROUP BY verdict"
    )
    assert {row["verdict"]: row["times"] for row in verdicts} == {
        "offered": 4,
        "too_many_offers": 8,
    }


@pytest.mark.req("AU-11", "AV-05", "PA-02")
@pytest.mark.parametrize("how", ["deactivated", "offline"])
@pytest.mark.parametrize("first", ["ring", "withdrawal"])
async def test_no_offer_outlives_its_mitra(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, first: str
) -> None:
    """She leaves while a ring is placed: whoever commits first, no offer of hers stays open."""
    mitra = await world.mitra()
    request = await world.request()
    search = await world.rings.search(request.id)
    assert search is not None

    async def leave() -> None:
        if how == "deactivated":
            await world.deactivate(mitra)
            await world.offers.withdraw_of_inactive(mitra)
        else:
            await world.go_offline(mitra)
            await world.offers.withdraw_of_unreachable(mitra, fresh_limit_seconds=45)

    if first == "withdrawal":
        await leave()
        blast = await world.rings.place(search, [mitra])
        assert blast is not None
        assert blast.offers == ()
        return

    written, may_commit = asyncio.Event(), asyncio.Event()
    append = world.rings._outbox.append

    async def slowly(tx: Transaction, *events: Event) -> None:
        written.set()
        await may_commit.wait()
        await append(tx, *events)

    monkeypatch.setattr(world.rings._outbox, "append", slowly)
    placing = asyncio.create_task(world.rings.place(search, [mitra]))
    await written.wait()
    leaving = asyncio.create_task(leave())
    await asyncio.wait({leaving}, timeout=0.2)
    may_commit.set()
    await asyncio.gather(placing, leaving)
    assert await world.offer_states(request.id) == ["withdrawn"]
