"""Hearing and telling: what is promised when NATS goes and comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from libs.common.tests.bus_stage import (
    Ask,
    Listener,
    fresh_subject,
    publish,
)
from nats.aio.transport import TcpTransport

from common import baseline
from common.bus import (
    Bus,
    BusUnavailable,
)
from common.bus.link import Link, _abandon
from common.db import Database
from common.ids import new_id
from common.realtime import Fanout
from common.runner import Runner
from common.testing import Proxy, eventually
from temani.servers import Nats


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[Nats]:
    """A NATS server that this test may kill and freeze."""
    server = Nats(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


async def publish_again(bus: Bus, subject: str) -> UUID:
    """Publish until the stream holds it: a server that answers may not have its streams yet."""
    event_id = new_id()

    async def stored() -> bool:
        with contextlib.suppress(BusUnavailable):
            await publish(bus, subject, event_id=event_id)
            return True
        return False

    await eventually(stored, timeout=40)
    return event_id


async def test_connect_returns_though_nats_is_away(runner: Runner, db: Database) -> None:
    """A process starts, tells, listens and asks without NATS; nothing waits, nothing raises."""
    async with asyncio.timeout(30):
        bus = await Bus.connect("nats://127.0.0.1:9", name="alone", runner=runner)
    bus.bury_in(db)
    bus.tell("rt.chat.x", b"lost")
    bus.listen("rt.chat.x", _ignore)
    Listener(bus)
    fanout = Fanout(bus=bus, replica="r")
    got: list[bytes] = []
    fanout.on("rt.here", got.append)
    fanout.tell("rt.here", b"local")

    assert not bus.up
    assert got == [b"local"]
    with pytest.raises(BusUnavailable):
        await bus.request("cmd.auth.x.v1", Ask(number=1), timeout=1)


async def test_nobody_waits_long_for_a_nats_that_refuses() -> None:
    """A process whose NATS is away starts after the first refusal, and stops without waiting."""
    runner, link = Runner(), Link("nats://127.0.0.1:1", name="test")
    link.start(runner)
    await link.until_tried(3600)
    assert not link.up

    waiting = asyncio.ensure_future(link.until_up(3600))
    await asyncio.sleep(0)
    await runner.stop()

    assert await waiting is False


async def _ignore(_subject: str, _body: bytes) -> None:
    return None


@pytest.mark.fault
async def test_everything_is_heard_again_after_nats_was_killed(
    own_nats: Nats, runner: Runner, db: Database
) -> None:
    """Consumers, core subscriptions and commands work again soon after NATS is back."""
    bus = await Bus.connect(own_nats.url, name="test", runner=runner)
    bus.bury_in(db)
    listener = Listener(bus)
    hints: list[bytes] = []

    async def hear(_subject: str, body: bytes) -> None:
        hints.append(body)

    bus.listen("hint.x", hear)
    assert await bus.until_up(20)
    first = await publish(bus, listener.subject)
    await eventually(lambda: listener.times(first))

    await own_nats.kill()
    await eventually(lambda: not bus.up)
    with pytest.raises(BusUnavailable):
        await publish(bus, listener.subject)
    await own_nats.start()

    assert await bus.until_up(40)
    second = await publish_again(bus, listener.subject)
    await eventually(lambda: listener.times(second))

    def hinted() -> bool:
        bus.tell("hint.x", b"again")
        return bool(hints)

    await eventually(hinted)


@pytest.mark.fault
async def test_a_lost_store_is_created_anew(runner: Runner, db: Database, tmp_path: Path) -> None:
    """When NATS comes back empty, streams and consumers are made again by themselves."""
    server = Nats(tmp_path / "first")
    await server.start()
    bus = await Bus.connect(server.url, name="test", runner=runner)
    bus.bury_in(db)
    listener = Listener(bus)
    assert await bus.until_up(20)
    before = await publish(bus, listener.subject)
    await eventually(lambda: listener.times(before))
    await server.kill()
    again = Nats(tmp_path / "second", port=server.port)
    await again.start()
    try:
        assert await bus.until_up(40)
        after = await publish_again(bus, listener.subject)
        await eventually(lambda: listener.times(after), timeout=40)
    finally:
        await again.stop()


@pytest.mark.fault
async def test_a_close_that_is_cut_leaves_nothing_open(
    own_nats: Nats, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose last bytes meet a reset still ends its subscriptions' tasks and its socket."""
    bus = await Bus.connect(own_nats.url, name="test", runner=runner)
    bus.listen("hint.x", _ignore)
    assert await bus.until_up(20)
    client = bus._link.client
    assert client is not None
    await eventually(lambda: client._subs)
    listening = [each._wait_for_msgs_task for each in client._subs.values()]
    assert all(listening)

    async def cut() -> None:
        raise ConnectionResetError

    assert isinstance(client._transport, TcpTransport)
    writer = client._transport._io_writer
    assert writer is not None
    monkeypatch.setattr(client._transport, "drain", cut)
    monkeypatch.setattr(client, "_pending_data_size", 1)
    await _abandon(client)

    assert client.is_closed
    assert writer.is_closing()
    await eventually(lambda: all(each.done() for each in listening))


@pytest.mark.fault
async def test_a_deaf_client_is_replaced(
    own_nats: Nats, runner: Runner, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose read loop has died is found by round trips and replaced by a new one."""
    bus = await Bus.connect(own_nats.url, name="test", runner=runner)
    bus.bury_in(db)
    listener = Listener(bus)
    assert await bus.until_up(20)
    client = bus._link.client
    assert client is not None
    assert client._reading_task is not None
    with monkeypatch.context() as hasty:  # only meanwhile: it would give up a healthy one as well
        hasty.setattr(baseline, "NATS_WATCHDOG_INTERVAL", 0.1)
        hasty.setattr(baseline, "NATS_WATCHDOG_RTT", 0.2)
        client._reading_task.cancel()
        bus._link._pulse.now()
        await eventually(lambda: bus._link.client not in (client, None))

    assert await bus.until_up(20)
    event_id = await publish_again(bus, listener.subject)
    await eventually(lambda: listener.times(event_id))


@pytest.mark.fault
async def test_a_half_open_connection_is_noticed(own_nats: Nats, runner: Runner) -> None:
    """Behind a wire that swallows everything the bus is down in seconds, and up after it heals."""
    async with Proxy(own_nats.port) as wire:
        bus = await Bus.connect(f"nats://127.0.0.1:{wire.port}", name="test", runner=runner)
        assert await bus.until_up(20)
        wire.blackhole()

        await eventually(lambda: not bus.up, timeout=40)
        # No call waits until the wire has healed.
        async with asyncio.timeout(30):
            with pytest.raises(BusUnavailable):
                await publish(bus, fresh_subject())
        wire.heal()

        assert await bus.until_up(40)
        await publish_again(bus, fresh_subject())


async def test_callbacks_of_the_client_never_raise(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception inside one would end the client's read or reconnect loop."""
    bus = await Bus.connect("nats://127.0.0.1:9", name="test", runner=runner)
    link = bus._link

    def explode(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(link, "_note", explode)
    monkeypatch.setattr("common.bus.link._errors", None)

    await link._on_error(RuntimeError("x"))
    await link._on_disconnected()
    await link._on_reconnected()
    await link._on_closed()
    monkeypatch.undo()
