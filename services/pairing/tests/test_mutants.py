"""The races of `test_races.py` without their guards: they must be lost, or the tests prove nothing.

Each rule has several belts (the guarded statement, a second guard, a trigger, a unique index, in
pairing and in chat); all of them are cut here at once.
"""

import asyncio

import pytest
from services.pairing.tests.world import World, all_of

from pairing.domain import Accepted
from pairing.store.rows import QUERIES


def cut(text: str, part: str, by: str = "") -> str:
    """Take a guard out of a statement; fail when it is not there any more."""
    assert part in text
    return text.replace(part, by)


@pytest.mark.req("PA-03")
async def test_without_the_claims_guard_two_win(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guarded UPDATE and its belts are what makes one winner."""
    world = own_world
    unguarded = cut(QUERIES["claim_request"], "AND r.state = 'searching' ")
    unguarded = cut(unguarded, " AND o.state = 'open'")
    monkeypatch.setitem(QUERIES._queries, "claim_request", unguarded)
    await world.admin.execute("DROP TRIGGER offer_moves ON pairing.offers")
    await world.admin.execute("DROP INDEX pairing.offers_one_accepted")
    await world.admin.execute("DROP INDEX chat.sessions_one_per_request")
    for name in await world.admin.fetch(
        "SELECT conname FROM pg_constraint"
        " WHERE conrelid = 'pairing.offers'::regclass AND contype = 'c'"
    ):
        await world.admin.execute(f"ALTER TABLE pairing.offers DROP CONSTRAINT {name['conname']}")
    mitras = await world.mitras(8)
    _, blast = await world.offered(*mitras)

    outcomes = await all_of(*(world.offers.claim(o.id, o.mitra_id) for o in blast.offers))

    assert sum(isinstance(one, Accepted) for one in outcomes) > 1


@pytest.mark.req("PA-03")
async def test_without_the_loads_lock_a_mitra_is_overbooked(own_world: World) -> None:
    """The lock on the load row and its belts are what keeps a mitra within her capacity."""
    world = own_world
    definition = await world.admin.fetchval(
        "SELECT pg_get_functiondef('chat.open_session_v1'::regproc)"
    )
    await world.admin.execute(
        cut(definition, "WHERE l.mitra_id = p_mitra FOR UPDATE;", "WHERE l.mitra_id = p_mitra;")
    )
    await world.admin.execute("DROP TRIGGER sessions_slot_within_capacity ON chat.sessions")
    await world.admin.execute("DROP TRIGGER sessions_bump_load ON chat.sessions")
    await world.admin.execute("DROP INDEX chat.sessions_slot")
    world.rings._settings = world.settings.model_copy(update={"spare_offers": 20})
    for _ in range(10):
        mitra = await world.mitra(capacity=1)
        offers = [(await world.offered(mitra))[1].offers[0] for _ in range(10)]
        await asyncio.gather(
            *(world.offers.claim(o.id, mitra) for o in offers), return_exceptions=True
        )
        if await world.load(mitra) > 1:
            return

    pytest.fail("ten tries, and never overbooked: the race test has no teeth")
