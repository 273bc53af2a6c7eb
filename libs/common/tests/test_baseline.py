"""Every number of the baseline, read back from the live object: a default must not creep back."""

import json
from uuid import uuid4

import pytest
from aiohttp import web
from nats.js.api import AckPolicy, DiscardPolicy, StorageType
from tests.support import TestDatabase

from common import baseline
from common.bus import Bus, Delivery
from common.bus.streams import SOURCE, ensure_stream, streams
from common.db import Database
from common.process import listener_of
from common.runner import Runner
from common.testing import eventually


@pytest.fixture
def patient() -> None:
    """The numbers as they are: they are what is tested here."""


async def test_asyncpg_pool(plumbed: TestDatabase) -> None:
    """Two to ten connections, every wait limited, no reset round trip."""
    database = await Database.connect(plumbed.url("auth"), name="baseline")
    pool = database._pool
    try:
        assert (pool.get_min_size(), pool.get_max_size()) == (2, 10)
        assert pool._connect_kwargs["timeout"] == 3
        assert pool._connect_kwargs["command_timeout"] == 3
        assert pool._connect_kwargs["statement_cache_size"] == 100
        assert {holder._max_inactive_time for holder in pool._holders} == {60}
        raw = await database._acquire()
        assert raw._con._config.command_timeout == 3
        assert await raw.fetchval("SHOW application_name") == "baseline"
        await database._release(raw)
        assert baseline.PG_ACQUIRE_TIMEOUT == 0.5
    finally:
        await database.close()


async def test_statement_cache_can_be_switched_off(plumbed: TestDatabase) -> None:
    """Behind a pooler without prepared statements the setting reaches the connection."""
    database = await Database.connect(plumbed.url("auth"), name="b", statement_cache_size=0)
    raw = await database._acquire()
    assert raw._con._config.statement_cache_size == 0
    await database._release(raw)
    await database.close()


async def test_application_role(db: Database) -> None:
    """What the role carries is in force on a fresh connection."""
    async with db.connection() as connection:
        shown = {
            name: await connection.fetchval("SELECT current_setting($1)", name)
            for name in baseline.PG_ROLE_SETTINGS
        }
    assert shown == baseline.PG_ROLE_SETTINGS


async def test_nats_client(bus: Bus) -> None:
    """Reconnects for ever, pings every 3 s, buffers nothing, and calls only our callbacks."""
    client = bus._link.client
    assert client is not None
    assert client.options["max_reconnect_attempts"] == -1
    assert client.options["ping_interval"] == 3
    assert client.options["max_outstanding_pings"] == 2
    assert client.options["connect_timeout"] == 2
    assert client.options["drain_timeout"] == 5
    assert client._max_pending_size == -1
    link = bus._link
    assert client._error_cb == link._on_error
    assert client._disconnected_cb == link._on_disconnected
    assert client._reconnected_cb == link._on_reconnected
    assert client._closed_cb == link._on_closed
    assert client._reconnect_to_server_handler is not None
    assert (
        baseline.NATS_WATCHDOG_INTERVAL,
        baseline.NATS_WATCHDOG_RTT,
        baseline.NATS_WATCHDOG_MISSES,
    ) == (5, 2, 3)


async def test_core_subscription(bus: Bus) -> None:
    """What waits in a subscription is bounded far below the client's default."""

    async def ignore(_subject: str, _body: bytes) -> None:
        return None

    subject = f"hint.{uuid4().hex}"
    bus.listen(subject, ignore)
    client = bus._link.client
    assert client is not None
    (ours,) = await eventually(lambda: [s for s in client._subs.values() if s.subject == subject])
    assert ours._pending_msgs_limit == baseline.NATS_PENDING_MESSAGES == 8192


async def test_stream_and_consumer(bus: Bus) -> None:
    """Streams are on disk and refuse instead of dropping; consumers acknowledge explicitly."""

    async def handle(_delivery: Delivery) -> None:
        return None

    durable = f"test-{uuid4().hex}"
    bus.consume(stream="CHAT", durable=durable, subjects=["evt.chat.x.v1"], handler=handle)
    client = bus._link.client
    assert client is not None
    js = client.jetstream()

    async def there() -> bool:
        return durable in {info.name for info in await js.consumers_info("CHAT")}

    await ensure_stream(js, "CHAT")
    await eventually(there)
    stream = (await js.stream_info("CHAT")).config
    consumer = (await js.consumer_info("CHAT", durable)).config

    assert stream.subjects == ["evt.chat.>"]
    assert stream.storage == StorageType.FILE
    assert stream.discard == DiscardPolicy.NEW
    assert stream.max_age == 72 * 3600
    assert stream.duplicate_window == 600
    assert stream.max_bytes is not None
    assert stream.max_bytes > 0
    assert consumer.ack_policy == AckPolicy.EXPLICIT
    assert consumer.ack_wait == 30
    assert consumer.max_deliver == 6
    assert consumer.max_ack_pending == 256
    assert consumer.deliver_subject is None
    assert consumer.backoff is None
    assert baseline.CONSUMER_BACKOFF == (1, 5, 30)
    assert baseline.CONSUMER_FETCH_TIMEOUT <= 1
    assert baseline.CONSUMER_HANDLER_TIMEOUT < baseline.CONSUMER_ACK_WAIT / 2
    rounds = baseline.CONSUMER_FETCH_BATCH / baseline.CONSUMER_WORKERS
    assert rounds * baseline.CONSUMER_HANDLER_TIMEOUT < baseline.CONSUMER_ACK_WAIT
    runs = baseline.CONSUMER_GATHER_HAND / baseline.CONSUMER_GATHER
    assert runs * baseline.CONSUMER_HANDLER_TIMEOUT < baseline.CONSUMER_ACK_WAIT


def test_streams_file_says_the_same() -> None:
    """The file that operators read agrees with the numbers that the code uses."""
    source = json.loads(SOURCE.read_text())
    every, consumers = source["every_stream"], source["every_consumer"]

    assert every["storage"] == baseline.STREAM_STORAGE
    assert every["discard"] == baseline.STREAM_DISCARD
    assert every["max_age_seconds"] == baseline.STREAM_MAX_AGE.total_seconds()
    assert every["duplicate_window_seconds"] == baseline.STREAM_DUPLICATE_WINDOW.total_seconds()
    assert consumers["ack_wait_seconds"] == baseline.CONSUMER_ACK_WAIT
    assert consumers["max_deliver"] == baseline.CONSUMER_MAX_DELIVER
    assert consumers["max_ack_pending"] == baseline.CONSUMER_MAX_ACK_PENDING
    gathered = consumers["max_ack_pending_where_gathered"]
    assert gathered == baseline.CONSUMER_GATHER_MAX_ACK_PENDING
    assert set(streams()) == {"AUTH", "AVAILABILITY", "PAIRING", "CHAT", "SWEEPER"}


async def test_streams_are_corrected_but_their_size_is_the_operators(bus: Bus) -> None:
    """A stream with other rules is brought in line; its bytes stay as somebody set them."""
    client = bus._link.client
    assert client is not None
    js = client.jetstream()
    await ensure_stream(js, "SWEEPER")
    present = (await js.stream_info("SWEEPER")).config
    await js.update_stream(
        present.evolve(discard=DiscardPolicy.OLD, max_age=60, duplicate_window=30, max_bytes=2**20)
    )

    await ensure_stream(js, "SWEEPER")

    config = (await js.stream_info("SWEEPER")).config
    assert (config.discard, config.max_age) == (DiscardPolicy.NEW, 72 * 3600)
    assert config.max_bytes == 2**20
    await js.delete_stream("SWEEPER")


async def test_http_server() -> None:
    """Idle connections end after 65 s, and a shutdown waits 8 s for requests."""
    listener = listener_of(web.Application())
    await listener.setup()
    assert listener.server is not None
    assert listener.server._kwargs["keepalive_timeout"] == 65
    assert listener._shutdown_timeout == 8
    await listener.cleanup()


async def test_outbox_numbers(runner: Runner) -> None:
    """The relay looks every 250 ms, leaves a second to the fast path, and keeps 72 h."""
    assert baseline.OUTBOX_POLL == 0.25
    assert baseline.OUTBOX_RELAY_AFTER.total_seconds() == 1
    assert baseline.OUTBOX_KEEP.total_seconds() == 72 * 3600
