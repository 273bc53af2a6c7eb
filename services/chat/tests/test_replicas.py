"""Two replicas and the bus between them: pushes, commands, and what a neighbour opens."""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from services.chat.tests.midtrans import playing
from services.chat.tests.site import SESSIONS, Site, serving
from services.chat.tests.world import World

from chat.inbound import DueItem, Settled, SettleDue
from common.bus import Bus
from common.ids import new_id
from common.runner import Runner
from common.testing import eventually


@contextlib.asynccontextmanager
async def two_replicas(world: World, nats_url: str, **changes: float) -> AsyncIterator[list[Site]]:
    """Serve twice on one database and one bus, with one provider."""
    async with (
        playing() as provider,
        serving(world, provider, nats_url=nats_url, **changes) as one,
        serving(world, provider, nats_url=nats_url, **changes) as two,
    ):
        yield [one, two]


@pytest.mark.req("CH-04", "CH-08")
async def test_parties_on_different_replicas(world: World, nats_url: str) -> None:
    """What one says on one replica the other hears on the other, once and in order."""
    story = await world.active()
    session_id = str(story.session.id)
    async with two_replicas(world, nats_url) as (one, two):
        customer = await one.person("customer", story.session.customer_id)
        mitra = await two.person("mitra", story.session.mitra_id)
        async with one.listening(customer) as (theirs, _), two.listening(mitra) as (hers, _):
            for text in ("satu", "dua", "tiga"):
                await theirs.write(session_id, text)
            heard = [(await hers.next("message"))["text"] for _ in range(3)]
            assert heard == ["satu", "dua", "tiga"]
            status, ended = await two.call(mitra, "POST", f"{SESSIONS}/{session_id}/end")
            assert (status, ended["state"]) == (200, "closing")
            await theirs.session("closing")


@pytest.mark.req("PA-06", "CH-01")
async def test_parties_hear_of_what_pairing_opened(
    world: World, runner: Runner, nats_url: str
) -> None:
    """A session opened in pairing's transaction is told to both parties, wherever they are."""
    mitra_id = await world.mitra()
    request = await world.request(mitra_id)
    bus = await Bus.connect(nats_url, name="pairing", runner=runner)
    async with two_replicas(world, nats_url) as (one, two):
        customer = await one.person("customer", request[1])
        mitra = await two.person("mitra", mitra_id)
        async with one.listening(customer) as (theirs, _), two.listening(mitra) as (hers, _):
            opened = await world.open(mitra_id, *request)
            bus.tell("hint.chat.outbox")
            for ear in (theirs, hers):
                told = await ear.session("pending_payment")
                assert told["session_id"] == str(opened["session_id"])


@pytest.mark.req("CH-05", "CH-01")
async def test_parties_hear_of_what_pairing_moved_on(
    world: World, runner: Runner, nats_url: str
) -> None:
    """A session that made room in pairing's transaction is told to its parties, too."""
    story = await world.pending(await world.mitra(capacity=1))
    session = story.session
    request = await world.request(session.mitra_id)
    bus = await Bus.connect(nats_url, name="pairing", runner=runner)
    async with two_replicas(world, nats_url, tick_seconds=300) as (one, _):
        customer = await one.person("customer", session.customer_id)
        async with one.listening(customer) as (theirs, _):
            await eventually(lambda: _all_is_told(world))
            await world.let_pass(session.id, "pay_by")
            opened = await world.open(session.mitra_id, *request)
            assert opened["outcome"] == "opened"
            bus.tell("hint.chat.outbox")
            assert (await theirs.session("cancelled"))["session_id"] == str(session.id)


async def _all_is_told(world: World) -> bool:
    waiting = await world.admin.fetchval(
        "SELECT count(*) FROM chat.outbox WHERE published_at IS NULL"
    )
    return bool(waiting == 0)


@pytest.mark.req("SW-04", "CH-05")
async def test_the_sweepers_command(world: World, runner: Runner, nats_url: str) -> None:
    """Whoever sends the owner what is due has it settled, once, however often it is sent."""
    story = await world.pending()
    bus = await Bus.connect(nats_url, name="sweeper", runner=runner)
    async with two_replicas(world, nats_url, tick_seconds=300):
        # Both have looked at the deadlines once, or one settles it when it does.
        await world.let_pass(story.session.id, "pay_by")
        items = [DueItem(kind="session_unpaid", id=story.session.id)] * 2
        command = SettleDue(items=[*items, DueItem(kind="of_tomorrow", id=new_id())])
        reply = await bus.request("cmd.chat.settle_due.v1", command, timeout=20)
        assert Settled.model_validate_json(reply).settled <= 1
        await eventually(lambda: _is(world, story.session.id, "cancelled"))
        assert (await world.events(story.session.id)).count("session_cancelled") == 1


async def _is(world: World, session_id: UUID, state: str) -> bool:
    return await world.state(session_id) == state


@pytest.mark.req("AU-11", "CH-11")
async def test_events_of_auth(world: World, runner: Runner, nats_url: str) -> None:
    """A mitra that auth switches off has her sessions freed by the event."""
    story = await world.active(replied=True)
    bus = await Bus.connect(nats_url, name="auth", runner=runner)
    async with two_replicas(world, nats_url):
        await world.deactivate(story.session.mitra_id)
        event_id = new_id()
        body = (
            f'{{"mitra_id": "{story.session.mitra_id}", "version": 2, "reason": "x",'
            ' "at": "2026-11-23T12:00:00Z"}'
        )
        await bus.publish_event(
            id=event_id,
            subject="evt.auth.mitra_deactivated.v1",
            body=body.encode(),
            headers={"Temani-Id": str(event_id)},
        )
        await eventually(lambda: _is(world, story.session.id, "closing"))
