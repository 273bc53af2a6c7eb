"""Deadlines, rings and reroutes on real Postgres, through the handlers where they decide."""

from uuid import UUID

import pytest
from services.pairing.tests.world import World

from common.ids import new_id
from pairing.domain import DueItem


async def reopen(world: World, request_id: UUID, mitra_id: UUID) -> str:
    """Call the published function as chat does."""
    async with world.database.connect("chat") as connection:
        outcome: str = await connection.fetchval(
            "SELECT pairing.reopen_request_v1($1, $2)", request_id, mitra_id
        )
    return outcome


async def reroute_session(world: World, request_id: UUID) -> None:
    """Make the session of a request rerouted, as chat would; the test has no payment."""
    await world.admin.execute(
        "UPDATE chat.sessions SET state = 'active', activated_at = now(), pay_by = NULL,"
        " ends_at = now() + interval '900 s' WHERE request_id = $1",
        request_id,
    )
    await world.admin.execute(
        "UPDATE chat.sessions SET state = 'rerouted', slot = NULL, completed_at = now(),"
        " ended_reason = 'no_show', warn_at = NULL WHERE request_id = $1",
        request_id,
    )


@pytest.mark.req("PA-04")
async def test_expired_request_frees_everyone_and_refunds(world: World) -> None:
    """The end of the wait withdraws the open offers and lets chat refund in the same commit."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)
    assert await world.offers.claim(blast.offers[0].id, mitra)
    await pay(world, request.id)
    await reroute_session(world, request.id)
    assert await reopen(world, request.id, mitra) == "reopened"
    other = await world.mitra()
    await world.blast(request, [other])
    await world.let_wait_pass(request.id)

    (ended,) = await world.requests.expire_requests([request.id])

    assert ended.request.state == "expired"
    assert [other] == [one.mitra_id for one in ended.withdrawn]
    assert await world.offer_states(request.id) == ["accepted", "withdrawn"]
    payment = await world.admin.fetchval(
        "SELECT state FROM chat.payments WHERE request_id = $1", request.id
    )
    assert payment == "refund_due"


async def pay(world: World, request_id: UUID) -> None:
    """Note a payment for the request's session, as chat would."""
    await world.admin.execute(
        "INSERT INTO chat.payments (request_id, session_id, customer_id, provider, order_id,"
        " amount_idr, state, expires_at, paid_at)"
        " SELECT s.request_id, s.id, s.customer_id, 'midtrans', $2, s.price_idr, 'paid', now(),"
        " now() FROM chat.sessions s WHERE s.request_id = $1",
        request_id,
        f"order-{request_id.hex[:12]}",
    )


@pytest.mark.req("PA-04")
async def test_no_deadline_is_met_early(world: World) -> None:
    """What is not due is left alone, whoever asks for it."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)

    assert await world.requests.expire_requests([request.id]) == []
    assert await world.offers.expire_offers([blast.offers[0].id]) == []
    assert None is await world.rings.search(request.id)
    assert await world.rings.due(100) == []
    left = await world.rings.seconds_to_next()
    assert left is not None
    assert 0 < left <= 10


@pytest.mark.req("PA-04", "SW-04")
async def test_due_lists_each_kind(world: World) -> None:
    """The published list names requests, rings and offers that are due, oldest first."""
    mitra = await world.mitra()
    late, late_blast = await world.offered(mitra)
    waiting = await world.request()
    over = await world.request()
    await world.let_offers_pass(late.id)
    await world.let_wait_pass(over.id)

    due = await world.rings.due(100)

    assert {
        DueItem("offer", late_blast.offers[0].id),
        DueItem("ring", waiting.id),
        DueItem("request", over.id),
    } == set(due)
    async with world.database.connect("sweeper") as connection:
        rows = await connection.fetch("SELECT kind, id, due_at FROM pairing.due_v1(100)")
    assert {(row["kind"], row["id"]) for row in rows} == {(item.kind, item.id) for item in due}
    assert sorted(row["due_at"] for row in rows) == [row["due_at"] for row in rows]


@pytest.mark.req("PA-04")
async def test_the_last_no_hastens_the_next_ring(world: World) -> None:
    """Only when nobody is asked any more is the next ring due at once."""
    first, second = await world.mitras(2)
    request, blast = await world.offered(first, second)
    one, two = blast.offers

    await world.offers.decline(one.id, one.mitra_id)
    assert await world.rings.hasten([request.id]) == []
    await world.offers.decline(two.id, two.mitra_id)
    assert [request.id] == await world.rings.hasten([request.id])

    search = await world.rings.search(request.id)
    assert search is not None
    assert {first, second} == search.exclude


@pytest.mark.req("PA-02", "PA-04")
async def test_an_empty_ring_is_tried_again_sooner(world: World) -> None:
    """Nobody found: no ring is counted, and the next try comes before a whole ring's time."""
    request = await world.request()

    blast = await world.blast(request, [])

    assert blast.offers == ()
    left = await world.rings.seconds_to_next()
    assert left is not None
    assert left <= 2
    found = await world.requests.request(request.id)
    assert found is not None
    assert (found.ring, found.asked) == (0, 0)


@pytest.mark.req("PA-07")
async def test_each_candidate_has_a_reason(world: World) -> None:
    """The record says of everyone considered why she was in or out."""
    good, full, gone, spare = (
        await world.mitra(),
        await world.mitra(capacity=1),
        await world.mitra(),
        await world.mitra(),
    )
    _, blast = await world.offered(full)
    assert await world.offers.claim(blast.offers[0].id, full)
    await world.deactivate(gone)
    world.rings._settings = world.settings.model_copy(update={"ring_size": 1})

    request, _ = await world.offered(good, full, gone, spare)

    _, decisions = await world.requests.record(request.id)
    assert {good: "offered", full: "full", gone: "deactivated", spare: "spare"} == {
        one.mitra_id: one.verdict for one in decisions
    }


@pytest.mark.req("PA-05")
async def test_a_reopened_request_searches_anew(world: World) -> None:
    """A reroute excludes the old mitra, gives a fresh wait, and those who lost are asked again."""
    old, loser = await world.mitras(2)
    request, blast = await world.offered(old, loser, wait_seconds=60)
    (own,) = [offer for offer in blast.offers if offer.mitra_id == old]
    assert await world.offers.claim(own.id, old)
    await pay(world, request.id)
    await reroute_session(world, request.id)

    assert await reopen(world, request.id, old) == "reopened"
    assert await reopen(world, request.id, old) == "not_matched"

    found = await world.requests.request(request.id)
    assert found is not None
    assert (
        found.state,
        found.attempt,
        found.asked,
        found.mitra_id,
        found.session_id,
    ) == ("searching", 2, 0, None, None)
    assert (found.wait_until - request.wait_until).total_seconds() > 0
    assert len(await world.events("evt.pairing.request_opened.v1")) == 2
    again = await world.blast(found, [old, loser])
    assert [loser] == [offer.mitra_id for offer in again.offers]
    accepted = await world.offers.claim(again.offers[0].id, loser)
    assert accepted is not None
    assert accepted.session_state == "active"
    assert None is await world.offers.claim(own.id, old)


@pytest.mark.req("PA-05")
async def test_a_newer_request_supersedes_a_reroute(world: World) -> None:
    """The customer has asked anew meanwhile: the old request stays matched, chat refunds."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)
    assert await world.offers.claim(blast.offers[0].id, mitra)
    await world.request(customer_id=request.customer_id)

    assert await reopen(world, request.id, mitra) == "superseded"
    assert await reopen(world, new_id(), mitra) == "unknown"
    assert await reopen(world, request.id, new_id()) == "not_matched"


@pytest.mark.req("PA-02", "AU-11")
async def test_offers_of_a_mitra_who_is_gone_fall(world: World) -> None:
    """Offline or deactivated mitras lose their open offers; a late event harms nobody."""
    here, offline, inactive = await world.mitras(3)
    request, _ = await world.offered(here, offline, inactive)
    await world.go_offline(offline)
    await world.deactivate(inactive)

    assert await world.offers.withdraw_of_unreachable(here, fresh_limit_seconds=45) == []
    assert await world.offers.withdraw_of_inactive(here) == []
    assert len(await world.offers.withdraw_of_unreachable(offline, fresh_limit_seconds=45)) == 1
    assert len(await world.offers.withdraw_of_inactive(inactive)) == 1

    assert await world.offer_states(request.id) == ["open", "withdrawn", "withdrawn"]


async def test_seen_and_delivered_keep_their_first_time(world: World) -> None:
    """Each mark is made once, by the mitra the offer is for, and seen includes delivered."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)
    offer = blast.offers[0]

    assert await world.offers.note_seen(offer.id, mitra)
    (before,), _ = await world.requests.record(request.id)
    assert await world.offers.note_delivered(offer.id, mitra)
    assert await world.offers.note_seen(offer.id, mitra)
    assert not await world.offers.note_seen(offer.id, new_id())

    assert before.delivered_at is not None
    after, _ = await world.requests.record(request.id)
    assert [before] == after


@pytest.mark.req("SW-08")
async def test_old_offers_and_decisions_are_pruned(world: World) -> None:
    """Settled offers and decisions older than the limit go; the request stays."""
    mitra = await world.mitra()
    request, _ = await world.offered(mitra)
    assert await world.requests.cancel_request(request.id, request.customer_id)
    await world.admin.execute("UPDATE pairing.offers SET settled_at = now() - interval '31 days'")
    await world.admin.execute(
        "UPDATE pairing.decisions SET decided_at = now() - interval '31 days'"
    )

    assert await world.rings.prune(days=30, limit=100) == 2
    assert await world.rings.prune(days=30, limit=100) == 0
    assert await world.requests.request(request.id) is not None
